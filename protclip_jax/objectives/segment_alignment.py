"""L_PDA: property-grouped dynamic segment alignment (paper: property-driven dynamic alignment).

Each property of a record picks out its residues, softly: their weighted mean is the property's
dynamic segment, and the segment is contrasted with the property's prototype. The loss can be met
from the *kind* of property alone, so a low value says nothing about content; `NEGATIVES` and
`late_interaction` hold the alternatives to the paper's choice.
"""

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from protclip_jax.models.heads import unit_norm
from protclip_jax.objectives.info_nce import (
    has_negatives,
    inverse_temperature,
    log_sum_candidates,
    log_sum_negatives,
    symmetric_info_nce,
)
from protclip_jax.objectives.mean import Mean

MIN_RANGE = 1e-6
"""Similarities that differ by no more than this give uniform weights."""

LogSums = tuple[Float[Array, "*N K"], Float[Array, "*N K"]]
"""Log-summed negatives of every segment (over prototypes) and of every prototype (over
segments); see `info_nce`."""


class Properties(NamedTuple):
    """N slots of a batch, each with K properties."""

    segments: Float[Array, "N K P"]
    """The dynamic segment of each property."""
    prototypes: Float[Array, "N K P"]
    """What stands for the properties: their prototypes (paper), or another choice of
    `property_vectors`."""
    present: Bool[Array, "N K"]
    """Which properties a slot's record has; False throughout for an empty slot, and for a record
    without residues."""
    text_hash: UInt[Array, "N K"]
    """Of each property's text."""


def dynamic_segment_weights(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    theta: float,
) -> Float[Array, "R S K L"]:
    """Weight of every residue in the dynamic segment of every property (float32).

    Similarities t_k·p_j → min–max to [0, 1] over the slot's residues → 0 below `theta` → divided by
    their sum. Equal similarities (range ≤ 1e-6) give uniform weights. Gradients flow through the
    weights, minimum and maximum included.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at specials and padding, which take no part.
      t: prototypes of the properties.
      present: which properties the slots' records have.
      theta: threshold on the normalised similarity, in [0, 1].

    Returns:
      weights that sum to 1 over L; all 0 for an absent property.
    """
    similarity = jnp.einsum(
        "rskd,rld->rskl",
        t,
        p,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    slots = jnp.arange(1, t.shape[1] + 1)
    member = (slot_ids[:, None, :] == slots[None, :, None])[:, :, None, :] & present[..., None]

    low = jnp.min(
        similarity, axis=-1, keepdims=True, where=member, initial=jnp.finfo(jnp.float32).max
    )
    high = jnp.max(
        similarity, axis=-1, keepdims=True, where=member, initial=jnp.finfo(jnp.float32).min
    )
    spread = high - low > MIN_RANGE
    # Selected before and after the division: a gradient of 0/0 would be NaN even where the quotient
    # is not used.
    normalised = jnp.where(spread, (similarity - low) / jnp.where(spread, high - low, 1.0), 1.0)

    kept = jnp.where(member & (normalised >= theta), normalised, 0.0)
    total = jnp.sum(kept, axis=-1, keepdims=True)
    return kept / jnp.where(total > 0, total, 1.0)


def dynamic_segments(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    theta: float,
) -> Float[Array, "R S K P"]:
    """The dynamic segments c_k = Σ_j w_kj p_j, not normalised (float32); arguments as in
    `dynamic_segment_weights`."""
    weights = dynamic_segment_weights(p, slot_ids, t, present, theta)
    return jnp.einsum(
        "rskl,rld->rskd", weights, p.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST
    )


def within_record(local: Properties, global_: Properties, chunk: int) -> LogSums:
    """Negatives: the other present properties of the same record (paper)."""
    del global_, chunk  # Two properties of a record never share a text: their prefixes differ.
    logits = jnp.einsum(
        "nkd,njd->nkj", local.segments, local.prototypes, precision=jax.lax.Precision.HIGHEST
    )
    other = ~jnp.eye(local.present.shape[-1], dtype=bool)
    return log_sum_negatives(logits, local.present[:, :, None] & local.present[:, None, :] & other)


def across_records(local: Properties, global_: Properties, chunk: int) -> LogSums:
    """Negatives: the same property of every other record of the global batch, unless its text is
    the same."""

    def admits(anchor, candidate):
        (present, text), (other_present, other_text) = anchor, candidate
        # Unequal texts also take out the record itself.
        return present & other_present & (text != other_text)

    def of_property(local: Properties, global_: Properties):
        labels = (local.present, local.text_hash), (global_.present, global_.text_hash)
        return tuple(
            log_sum_candidates(anchors, candidates, *labels, admits, chunk=chunk)
            for anchors, candidates in (
                (local.segments, global_.prototypes),
                (local.prototypes, global_.segments),
            )
        )

    return jax.vmap(of_property, in_axes=1, out_axes=1)(local, global_)


def both(local: Properties, global_: Properties, chunk: int) -> LogSums:
    """Negatives: the union of `within_record` and `across_records`, under one denominator."""
    within, across = within_record(local, global_, chunk), across_records(local, global_, chunk)
    return jnp.logaddexp(within[0], across[0]), jnp.logaddexp(within[1], across[1])


WITHIN_RECORD = "within_record"

NEGATIVES: dict[str, Callable[[Properties, Properties, int], LogSums]] = {
    WITHIN_RECORD: within_record,
    "across_records": across_records,
    "both": both,
}
"""What a segment must be told from, by the name that the config's `pda.negatives` takes."""


def segment_alignment(
    local: Properties,
    global_: Properties,
    *,
    logit_scale: Float[Array, ""],
    negatives: str,
    chunk: int = 0,
) -> Mean:
    """Symmetric InfoNCE between dynamic segments c_k and prototypes t_k, averaged over records.

    Both are L2-normalised for it. A property takes part if it has at least one negative; a record's
    loss is the mean over its properties that take part, and the record counts if one does. For
    `within_record` those are the records with two or more present properties.

    Args:
      local: the slots whose loss this is: all, or those of one device.
      global_: the slots of the global batch, local ones included.
      logit_scale: log of the scale.
      negatives: a name in `NEGATIVES`.
      chunk: see `reduce_candidates`.

    Returns:
      sum over the local records that count, and their number (float32).
    """
    scale = inverse_temperature(logit_scale)
    # The scale goes with the segments on either side.
    local, global_ = (
        x._replace(segments=scale * unit_norm(x.segments), prototypes=unit_norm(x.prototypes))
        for x in (local, global_)
    )
    positive = jnp.sum(local.segments * local.prototypes, axis=-1)
    return mean_over_records(positive, NEGATIVES[negatives](local, global_, chunk), local.present)


def mean_over_records(
    positive: Float[Array, "*N K"], log_sums: LogSums, present: Bool[Array, "*N K"]
) -> Mean:
    """Symmetric InfoNCE averaged over each record's present properties that have negatives, and
    over records that have such.

    Raises:
      AssertionError: the shapes differ.
    """
    chex.assert_equal_shape([positive, *log_sums, present])
    takes_part = present & has_negatives(log_sums[0])
    loss = jnp.where(takes_part, symmetric_info_nce(positive, *log_sums), 0.0)
    number = jnp.sum(takes_part, axis=-1)
    return Mean.over(jnp.sum(loss, axis=-1) / jnp.maximum(number, 1), number > 0)
