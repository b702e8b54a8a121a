"""PDA by late interaction: a text is told from others by what it finds itself, in its own protein
and in the others'.

Under the negatives of `segment_alignment` a segment is picked by its own text before any other text
is compared with it, so that it brings that text along into the contrast, whatever the protein
holds. Here every score of a protein with a text comes from the residues that *this text* picks in
it (ColBERT, Khattab and Zaharia 2020; FILIP, Yao et al. 2022), so that a text does well only with
proteins that hold something of it. The candidates are the records of the same packed row: scores
need the candidates' residue vectors, which never leave their row, let alone their device.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt

from protclip_jax.models.heads import unit_norm
from protclip_jax.objectives.info_nce import NO_NEGATIVES, inverse_temperature, log_sum_negatives
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.segment_alignment import dynamic_segment_weights, mean_over_records

LATE_INTERACTION = "late_interaction"
"""Its name as a value of the config's `pda.negatives`."""


def dynamic_segment_scores(
    p: Float[Array, "R L P"],
    member: Bool[Array, "R S L"],
    texts: Float[Array, "R T P"],
    *,
    scale: Float[Array, ""],
    theta: float,
) -> Float[Array, "R T S"]:
    """Scaled cosine of each text with the dynamic segment that it picks in each protein
    (`dynamic_segment_weights`)."""
    slots = jnp.arange(1, member.shape[1] + 1)[:, None]
    of_every_slot = jnp.broadcast_to(texts[:, None], (*member.shape[:2], *texts.shape[1:]))
    everywhere = jnp.ones(of_every_slot.shape[:3], bool)
    weights = dynamic_segment_weights(
        p, jnp.sum(member * slots, axis=1), of_every_slot, everywhere, theta
    )
    segments = jnp.einsum(
        "rstl,rld->rtsd", weights, p.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST
    )
    return scale * jnp.einsum(
        "rtd,rtsd->rts", unit_norm(texts), unit_norm(segments), precision=jax.lax.Precision.HIGHEST
    )


def log_mean_exp(
    p: Float[Array, "R L P"],
    member: Bool[Array, "R S L"],
    texts: Float[Array, "R T P"],
    *,
    scale: Float[Array, ""],
    theta: float,
) -> Float[Array, "R T S"]:
    """log of the mean over a protein's residues of exp(scaled cosine with the text): nearly that of
    the best residues.

    The pooling of multiple-instance learning (MIL-NCE, Miech et al. 2020); the mean instead of the
    sum, so that long proteins have no advantage. `theta` plays no part.
    """
    del theta
    cosine = jnp.einsum(
        "rtd,rld->rtl", unit_norm(texts), unit_norm(p), precision=jax.lax.Precision.HIGHEST
    )
    of_protein = jnp.where(member[:, None], (scale * cosine)[:, :, None], NO_NEGATIVES)
    return (
        jax.nn.logsumexp(of_protein, axis=-1)
        - jnp.log(jnp.maximum(jnp.sum(member, axis=-1), 1))[:, None]
    )


def sequence_mean(
    p: Float[Array, "R L P"],
    member: Bool[Array, "R S L"],
    texts: Float[Array, "R T P"],
    *,
    scale: Float[Array, ""],
    theta: float,
) -> Float[Array, "R T S"]:
    """Scaled cosine of each text with the mean of each protein's residues: nothing is picked.
    `theta` plays no part."""
    del theta
    share = member / jnp.maximum(jnp.sum(member, axis=-1, keepdims=True), 1)
    means = jnp.einsum(
        "rsl,rld->rsd", share, p.astype(jnp.float32), precision=jax.lax.Precision.HIGHEST
    )
    return scale * jnp.einsum(
        "rtd,rsd->rts", unit_norm(texts), unit_norm(means), precision=jax.lax.Precision.HIGHEST
    )


POOLINGS: dict[str, Callable[..., Float[Array, "R T S"]]] = {
    "segment": dynamic_segment_scores,
    "residue": log_mean_exp,
    "sequence": sequence_mean,
}
"""How a protein is pooled for a text, by the name that the config's `pda.pooling` takes."""


def late_interaction(
    p: Float[Array, "R L P"],
    slot_ids: Int[Array, "R L"],
    t: Float[Array, "R S K P"],
    *,
    present: Bool[Array, "R S K"],
    property_hashes: UInt[Array, "R S K"],
    theta: float,
    logit_scale: Float[Array, ""],
    pooling: str,
) -> Mean:
    """Symmetric InfoNCE between texts and proteins over the records of a row, property by property,
    averaged over records.

    Negatives are the row's other records that have the property, unless with the same text; a
    property without any takes no part. A record's loss is the mean over its properties that take
    part, and the record counts if one does. The value depends on which records share a row, as that
    of other contrasts does on the batch, but not on the number of devices.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at specials and padding.
      t: what stands for the properties (`property_vectors`).
      present: which properties the slots' records have; False throughout for an empty slot.
      property_hashes: hash of each property's text.
      theta: threshold of `dynamic_segment_weights`.
      logit_scale: log of the scale.
      pooling: a name in `POOLINGS`.

    Returns:
      sum over the records that count, and their number (float32).
    """
    rows, slots, properties, width = t.shape
    member = slot_ids[:, None, :] == jnp.arange(1, slots + 1)[:, None]
    present &= jnp.any(member, axis=-1)[..., None]
    texts = t.astype(jnp.float32).reshape(rows, slots * properties, width)
    scores = POOLINGS[pooling](
        p, member, texts, scale=inverse_temperature(logit_scale), theta=theta
    )
    scores = jnp.moveaxis(
        scores.reshape(rows, slots, properties, slots), 2, 1
    )  # [R, K, slot of text, slot of protein]

    has, said = jnp.moveaxis(present, 2, 1), jnp.moveaxis(property_hashes, 2, 1)
    admitted = has[..., :, None] & has[..., None, :] & (said[..., :, None] != said[..., None, :])
    by_text, by_protein = (
        jnp.moveaxis(log_sum, 1, 2) for log_sum in log_sum_negatives(scores, admitted)
    )
    positive = jnp.moveaxis(jnp.diagonal(scores, axis1=-2, axis2=-1), 1, 2)
    return mean_over_records(positive, (by_text, by_protein), present)
