"""L_PDA: property-grouped dynamic segment alignment (paper: property-driven dynamic alignment).

Each property of a record picks out its residues, softly: their weighted mean is the property's dynamic segment, and
the segment is contrasted with the property's prototype. The loss can be met from the *kind* of property alone,
so a low value says nothing about content; `NEGATIVES` and `late_interaction` hold the alternatives to the paper's choice.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from protclip_jax.models.projection import unit_norm
from protclip_jax.objectives.info_nce import has_negatives, inverse_temperature, log_sum_negatives, symmetric_info_nce
from protclip_jax.objectives.mean import Mean

MIN_RANGE = 1e-6
"""Similarities that differ by no more than this give uniform weights."""

LogSums = tuple[Float[Array, "R S K"], Float[Array, "R S K"]]
"""Log-summed negatives of every segment (over prototypes) and of every prototype (over segments); see `info_nce`."""


def dynamic_segment_weights(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    theta: float,
) -> Float[Array, "R S K L"]:
    """Weight of every residue in the dynamic segment of every property (float32).

    Similarities t_k·p_j → min–max to [0, 1] over the slot's residues → 0 below `theta` → divided by their sum. Equal
    similarities (range ≤ 1e-6) give uniform weights. Gradients flow through the weights, minimum and maximum included.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at specials and padding, which take no part.
      t: prototypes of the properties.
      present: which properties the slots' records have.
      theta: threshold on the normalised similarity, in [0, 1].

    Returns:
      weights that sum to 1 over L; all 0 for an absent property.
    """
    similarity = jnp.einsum("rskd,rld->rskl", t, p, precision=jax.lax.Precision.HIGHEST, preferred_element_type=jnp.float32)
    slots = jnp.arange(1, t.shape[1] + 1)
    member = (slot_ids[:, None, :] == slots[None, :, None])[:, :, None, :] & present[..., None]

    low = jnp.min(similarity, axis=-1, keepdims=True, where=member, initial=jnp.finfo(jnp.float32).max)
    high = jnp.max(similarity, axis=-1, keepdims=True, where=member, initial=jnp.finfo(jnp.float32).min)
    spread = high - low > MIN_RANGE
    # Selected before and after the division: a gradient of 0/0 would be NaN even where the quotient is not used.
    normalised = jnp.where(spread, (similarity - low) / jnp.where(spread, high - low, 1.0), 1.0)

    kept = jnp.where(member & (normalised >= theta), normalised, 0.0)
    total = jnp.sum(kept, axis=-1, keepdims=True)
    return kept / jnp.where(total > 0, total, 1.0)


def within_record(
    segments: Float[Array, "R S K P"],
    prototypes: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
) -> LogSums:
    """Negatives: the other present properties of the same record (paper)."""
    del property_hashes  # Two properties of a record never share a text: their prefixes differ.
    logits = jnp.einsum("rskd,rsjd->rskj", segments, prototypes, precision=jax.lax.Precision.HIGHEST)
    other = ~jnp.eye(present.shape[-1], dtype=bool)
    return log_sum_negatives(logits, present[..., :, None] & present[..., None, :] & other)


def across_records(
    segments: Float[Array, "R S K P"],
    prototypes: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
) -> LogSums:
    """Negatives: the same property of every other record of the global batch, unless its text is the same."""
    rows, slots, properties = present.shape

    def records_of_property(x):
        return jnp.moveaxis(x, 2, 0).reshape(properties, rows * slots, *x.shape[3:])

    logits = jnp.einsum("knd,kmd->knm", *map(records_of_property, (segments, prototypes)), precision=jax.lax.Precision.HIGHEST)
    has, text = records_of_property(present), records_of_property(property_hashes)
    # Unequal texts also take out the record itself.
    admitted = has[:, :, None] & has[:, None, :] & (text[:, :, None] != text[:, None, :])
    by_segment, by_prototype = log_sum_negatives(logits, admitted)
    shape = (properties, rows, slots)
    return jnp.moveaxis(by_segment.reshape(shape), 0, -1), jnp.moveaxis(by_prototype.reshape(shape), 0, -1)


def both(
    segments: Float[Array, "R S K P"],
    prototypes: Float[Array, "R S K P"],
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
) -> LogSums:
    """Negatives: the union of `within_record` and `across_records`, under one denominator."""
    within = within_record(segments, prototypes, present, property_hashes)
    across = across_records(segments, prototypes, present, property_hashes)
    return jnp.logaddexp(within[0], across[0]), jnp.logaddexp(within[1], across[1])


NEGATIVES: dict[str, Callable[..., LogSums]] = {
    "within_record": within_record,
    "across_records": across_records,
    "both": both,
}
"""What a segment must be told from, by the name that the config's `pda.negatives` takes."""


def segment_alignment(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    *,
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
    theta: float,
    logit_scale: Float[Array, ""],
    negatives: str,
) -> Mean:
    """Symmetric InfoNCE between dynamic segments c_k = Σ_j w_kj p_j and prototypes t_k, averaged over records.

    Both are L2-normalised for it. A property takes part if it has at least one negative; a record's loss is the mean
    over its properties that take part, and the record counts if one does. For `within_record` those are the records
    with two or more present properties.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at specials and padding.
      t: what stands for the properties: their prototypes (paper), or another choice of `property_vectors`.
      present: which properties the slots' records have; False throughout for an empty slot.
      property_hashes: hash of each property's text.
      theta: threshold of `dynamic_segment_weights`.
      logit_scale: log of the scale; exp of it is clamped to ≤ 100.
      negatives: a name in `NEGATIVES`.

    Returns:
      sum over the records that count, and their number (float32).
    """
    slots = jnp.arange(1, t.shape[1] + 1)
    present &= jnp.any(slot_ids[:, :, None] == slots, axis=1)[..., None]  # No residues, no segment.
    weights = dynamic_segment_weights(p, slot_ids, t, present, theta)
    segments = jnp.einsum("rskl,rld->rskd", weights, p.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST)

    segments, prototypes = inverse_temperature(logit_scale) * unit_norm(segments), unit_norm(t)
    positive = jnp.sum(segments * prototypes, axis=-1)
    log_sums = NEGATIVES[negatives](segments, prototypes, present, property_hashes)
    return mean_over_records(positive, log_sums, present)


def mean_over_records(positive: Float[Array, "R S K"], log_sums: LogSums, present: Bool[Array, "R S K"]) -> Mean:
    """Symmetric InfoNCE averaged over each record's present properties that have negatives, and over records that have such."""
    takes_part = present & has_negatives(log_sums[0])
    loss = jnp.where(takes_part, symmetric_info_nce(positive, *log_sums), 0.0)
    number = jnp.sum(takes_part, axis=-1)
    return Mean.over(jnp.sum(loss, axis=-1) / jnp.maximum(number, 1), number > 0)
