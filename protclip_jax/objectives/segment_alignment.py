"""L_PDA: property-grouped dynamic segment alignment (paper: property-driven dynamic alignment).

Each property of a record softly selects residues. Their weighted mean is the property's dynamic
segment, which is contrasted with the property's prototype. The *kind* of property alone can satisfy
this loss, so a low value says nothing about the content. `NEGATIVES` and `late_interaction` offer
alternatives to the paper's choice.
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
"""Similarities within a range of at most this give uniform weights."""

LogSums = tuple[Float[Array, "*N K"], Float[Array, "*N K"]]
"""Log-summed negatives of each segment (over prototypes) and each prototype (over segments)."""


class Properties(NamedTuple):
    """N slots of a batch, each with K properties."""

    segments: Float[Array, "N K P"]
    """The dynamic segment of each property."""
    prototypes: Float[Array, "N K P"]
    """The property vectors: prototypes (paper), or another choice of `property_vectors`."""
    present: Bool[Array, "N K"]
    """Which properties each slot's record has; all False for empty slots and records without
    residues."""
    text_hash: UInt[Array, "N K"]
    """Hash of each property's text."""


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
    weights, including the minimum and maximum.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at special tokens and padding, which take no part.
      t: prototypes of the properties.
      present: which properties each slot's record has.
      theta: threshold on the normalised similarity, in [0, 1].

    Returns:
      Weights that sum to 1 over L; all 0 for an absent property.

    Example:
      Similarities 4, 1, 4 and 0 become 1, 0.25, 1 and 0; the second falls below the threshold:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.segment_alignment import dynamic_segment_weights
      >>> p = jnp.array([[[4.0], [1.0], [4.0], [0.0]]])
      >>> t, present = jnp.ones((1, 1, 1, 1)), jnp.array([[[True]]])
      >>> weights = dynamic_segment_weights(p, jnp.array([[1, 1, 1, 1]]), t, present, theta=0.3)
      >>> print(weights[0, 0, 0])
      [0.5 0.  0.5 0. ]
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
    # The inner `where` avoids 0/0, whose NaN gradient would pass through the outer `where` even
    # where the quotient is not selected.
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
    """The dynamic segments c_k = Σ_j w_kj p_j, not normalised (float32).

    Arguments as in `dynamic_segment_weights`.
    """
    weights = dynamic_segment_weights(p, slot_ids, t, present, theta)
    return jnp.einsum(
        "rskl,rld->rskd", weights, p.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST
    )


def within_record(local: Properties, global_: Properties, chunk: int) -> LogSums:
    """Negatives: the other present properties of the same record (paper)."""
    del global_, chunk  # Two properties of a record never have equal texts: their prefixes differ.
    logits = jnp.einsum(
        "nkd,njd->nkj", local.segments, local.prototypes, precision=jax.lax.Precision.HIGHEST
    )
    other = ~jnp.eye(local.present.shape[-1], dtype=bool)
    return log_sum_negatives(logits, local.present[:, :, None] & local.present[:, None, :] & other)


def across_records(local: Properties, global_: Properties, chunk: int) -> LogSums:
    """Negatives: the same property of all other records of the global batch with another text."""

    def admits(anchor, candidate):
        (present, text), (other_present, other_text) = anchor, candidate
        # A record's own text is equal to itself, so this excludes the record too.
        return present & other_present & (text != other_text)

    def of_property(local: Properties, global_: Properties):
        labels = (local.present, local.text_hash), (global_.present, global_.text_hash)
        contrasts = (local.segments, global_.prototypes), (local.prototypes, global_.segments)
        return tuple(
            log_sum_candidates(anchors, candidates, *labels, admits, chunk=chunk)
            for anchors, candidates in contrasts
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
"""Choices of a segment's negatives, by their name in `pda.negatives`."""


def segment_alignment(
    local: Properties,
    global_: Properties,
    *,
    logit_scale: Float[Array, ""],
    negatives: str,
    chunk: int = 0,
) -> Mean:
    """Symmetric InfoNCE between dynamic segments c_k and prototypes t_k, averaged over records.

    Both are L2-normalised first. A property takes part if it has at least one negative. A record's
    loss is the mean over its properties that take part; the record counts if at least one does. For
    `within_record` these are the records with two or more present properties.

    Args:
      local: the slots that the loss is computed for: all, or those of one device.
      global_: the slots of the global batch, including the local ones.
      logit_scale: log of the scale.
      negatives: a name in `NEGATIVES`.
      chunk: see `reduce_candidates`.

    Returns:
      The sum over the local records that count, and their count (float32).

    Example:
      One record with two properties, each with a segment equal to its prototype:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.segment_alignment import Properties, segment_alignment
      >>> vectors, present = jnp.eye(2)[None], jnp.array([[True, True]])
      >>> slots = Properties(vectors, vectors, present, jnp.array([[7, 8]], jnp.uint32))
      >>> loss = segment_alignment(
      ...     slots, slots, logit_scale=jnp.log(10.0), negatives="within_record"
      ... )
      >>> print(f"{loss.value():.6f}")
      0.000045
    """
    scale = inverse_temperature(logit_scale)
    # Segments carry the scale, whether they are anchors or candidates.
    local, global_ = (
        x._replace(segments=scale * unit_norm(x.segments), prototypes=unit_norm(x.prototypes))
        for x in (local, global_)
    )
    positive = jnp.sum(local.segments * local.prototypes, axis=-1)
    return mean_over_records(positive, NEGATIVES[negatives](local, global_, chunk), local.present)


def mean_over_records(
    positive: Float[Array, "*N K"], log_sums: LogSums, present: Bool[Array, "*N K"]
) -> Mean:
    """Averages symmetric InfoNCE over each record's properties with negatives, then over records.

    Records without such a property do not count.

    Raises:
      AssertionError: the shapes differ.
    """
    chex.assert_equal_shape([positive, *log_sums, present])
    takes_part = present & has_negatives(log_sums[0])
    loss = jnp.where(takes_part, symmetric_info_nce(positive, *log_sums), 0.0)
    number = jnp.sum(takes_part, axis=-1)
    return Mean.over(jnp.sum(loss, axis=-1) / jnp.maximum(number, 1), number > 0)
