"""L_GC: symmetric InfoNCE between proteins and biotexts over the global batch (paper: global contrastive loss)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, UInt

from protclip_jax.objectives.info_nce import inverse_temperature, log_sum_negatives, symmetric_info_nce
from protclip_jax.objectives.mean import Mean


def duplicate_pairs(text_hash: UInt[Array, "N"], sequence_hash: UInt[Array, "N"]) -> Bool[Array, "N N"]:
    """Pairs of slots with the same biotext or the same sequence: UniProt repeats itself, so they are no negatives."""
    same_text = text_hash[:, None] == text_hash[None, :]
    return same_text | (sequence_hash[:, None] == sequence_hash[None, :])


def global_contrastive(
    protein: Float[Array, "N P"],
    text: Float[Array, "N P"],
    *,
    logit_scale: Float[Array, ""],
    mask: Bool[Array, "N"],
    exclude: Bool[Array, "N N"] | None = None,
) -> Mean:
    """−log softmax(scale · protein·text) at the own pair, averaged over protein→text and text→protein and the real slots.

    Every other real slot of the global batch is a negative, except the pairs in `exclude` (`duplicate_pairs`; None =
    the paper's form). There is one matrix of logits: its rows keep the sharding of `protein`, both directions reduce it.

    Args:
      protein: unit-norm sequence embeddings, slot n the partner of text n.
      text: unit-norm biotext embeddings.
      logit_scale: log of the scale; exp of it is clamped to ≤ 100.
      mask: which slots hold a record; the others leave rows, columns and the count.
      exclude: pairs that leave the denominators; its diagonal is ignored.

    Returns:
      sum over the real slots, and their number (float32).
    """
    scale = inverse_temperature(logit_scale)
    protein, text = protein.astype(jnp.float32), text.astype(jnp.float32)
    # Accelerators round float32 operands by default: times a scale of 100 that would show in the logits.
    logits = scale * jnp.matmul(protein, text.T, precision=jax.lax.Precision.HIGHEST)
    positive = scale * jnp.sum(protein * text, axis=-1)

    admitted = mask[:, None] & mask[None, :] & ~jnp.eye(mask.size, dtype=bool)
    if exclude is not None:
        admitted &= ~exclude
    return Mean.over(symmetric_info_nce(positive, *log_sum_negatives(logits, admitted)), mask)
