"""L_MLM: cross-entropy of the masked residues (paper: protein masked language modelling)."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from protclip_jax.objectives.mean import Mean


def masked_cross_entropy(logits: Float[Array, "R L V"], targets: Int[Array, "R L"], mask: Bool[Array, "R L"]) -> Mean:
    """−log softmax(logits) at the target token, over the masked tokens of the whole batch.

    Args:
      logits: any float dtype; the softmax runs in float32.
      targets: the original tokens, 0 … V − 1; read only where `mask` holds.
      mask: the tokens that were masked in the input.

    Returns:
      sum over the masked tokens, and their number (float32).
    """
    logits = logits.astype(jnp.float32)
    # The target's logit by a one-hot sum: no gather forward and no scatter backward on accelerators.
    is_target = targets[:, :, None] == jnp.arange(logits.shape[-1])
    target_logit = jnp.sum(jnp.where(is_target, logits, 0.0), axis=-1)
    return Mean.over(jax.nn.logsumexp(logits, axis=-1) - target_logit, mask)
