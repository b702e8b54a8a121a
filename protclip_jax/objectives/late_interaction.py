"""PDA by late interaction: each text selects residues in its own protein and in the negatives.

With the negatives of `segment_alignment`, a segment is selected by its own text before it is
compared with other texts. It therefore brings that text into the contrast, whatever the protein
contains. Here every score of a protein with a text comes from the residues that *this text* selects
in it (ColBERT, Khattab and Zaharia 2020; FILIP, Yao et al. 2022), so a text scores well only with
proteins that match it. The candidates are the records of the same packed row, because scores need
the candidates' residue vectors, which never leave their row or device.
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
"""Value of `pda.negatives` that selects this loss."""


def dynamic_segment_scores(
    p: Float[Array, "R L P"],
    member: Bool[Array, "R S L"],
    texts: Float[Array, "R T P"],
    *,
    scale: Float[Array, ""],
    theta: float,
) -> Float[Array, "R T S"]:
    """Scaled cosine of each text with the dynamic segment that it selects in each protein.

    See `dynamic_segment_weights`.
    """
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
    """log of the mean over a protein's residues of exp(scaled cosine with the text).

    The best residues dominate it. This is the pooling of multiple-instance learning (MIL-NCE, Miech
    et al. 2020), with a mean in place of the sum so that long proteins have no advantage. `theta`
    is unused.
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
    """Scaled cosine of each text with each protein's mean residue vector; `theta` is unused."""
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
"""Poolings of a protein for a text, by their name in `pda.pooling`."""


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
    """Symmetric InfoNCE between texts and proteins of a row per property, averaged over records.

    The negatives are the other records in the row that have the property with a different text. A
    property without negatives takes no part. A record's loss is the mean over its properties that
    take part; the record counts if at least one does. The value depends on which records share a
    row, just as other contrasts depend on the batch, but not on the number of devices.

    Args:
      p: projected protein tokens, not normalised.
      slot_ids: 1…S at residues; 0 at special tokens and padding.
      t: property vectors (`property_vectors`).
      present: which properties each slot's record has; all False for an empty slot.
      property_hashes: hash of each property's text.
      theta: threshold of `dynamic_segment_weights`.
      logit_scale: log of the scale.
      pooling: a name in `POOLINGS`.

    Returns:
      The sum over the records that count, and their count (float32).

    Example:
      One row with two records of one residue each, which match their own texts:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.late_interaction import late_interaction
      >>> loss = late_interaction(
      ...     jnp.eye(2)[None],
      ...     jnp.array([[1, 2]]),
      ...     jnp.eye(2)[None, :, None],
      ...     present=jnp.array([[[True], [True]]]),
      ...     property_hashes=jnp.array([[[7], [8]]], jnp.uint32),
      ...     theta=0.3,
      ...     logit_scale=jnp.log(10.0),
      ...     pooling="segment",
      ... )
      >>> print(f"{loss.value():.6f}")
      0.000045
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
