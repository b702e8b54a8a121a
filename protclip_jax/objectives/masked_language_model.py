"""L_MLM: cross-entropy on masked residues (paper: protein masked language modelling)."""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.common.settings import WEIGHT, Setting
from data_pipelines.training.batch import Batch
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows


def masked_cross_entropy(
    logits: Float[Array, "R L V"], targets: Int[Array, "R L"], mask: Bool[Array, "R L"]
) -> Mean:
    """−log softmax(logits) at the target token, over the masked tokens of the whole batch.

    Args:
      logits: any float dtype; the softmax runs in float32.
      targets: the original tokens, 0 … V − 1; read only where `mask` is True.
      mask: the tokens that were masked in the input.

    Returns:
      The sum over the masked tokens, and their count (float32).

    Raises:
      AssertionError: the shapes do not match.

    Example:
      Uniform logits over 33 tokens cost log 33 per masked token:

      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.masked_language_model import masked_cross_entropy
      >>> targets = jnp.array([[5, 6, 7]])
      >>> mask = jnp.array([[True, False, True]])
      >>> loss = masked_cross_entropy(jnp.zeros((1, 3, 33)), targets, mask)
      >>> print(f"{loss.value():.4f} over {loss.count:.0f} tokens")
      3.4965 over 2 tokens
    """
    chex.assert_equal_shape([targets, mask])
    chex.assert_shape(logits, (*targets.shape, None))
    logits = logits.astype(jnp.float32)
    # A one-hot sum selects the target's logit. On accelerators this avoids a gather in the forward
    # pass and a scatter in the backward pass.
    is_target = targets[:, :, None] == jnp.arange(logits.shape[-1])
    target_logit = jnp.sum(jnp.where(is_target, logits, 0.0), axis=-1)
    return Mean.over(jax.nn.logsumexp(logits, axis=-1) - target_logit, mask)


class MaskedLanguageModel(Objective):
    """MLM: predicts randomly masked residues from the rest of the protein."""

    name = "mlm"
    title = "masked residues (MLM)"
    weight = Setting(0.3, WEIGHT, "Weight of masked language modelling L_MLM.")
    masked = True

    def mask(self, batch: Batch) -> Bool[Array, "R L"]:
        return batch.mlm_mask

    def loss(self, rows: Rows) -> Mean:
        logits = rows.model.predict_masked(rows.masked_hidden(self.name))
        return masked_cross_entropy(logits, rows.batch.protein_tokens, rows.batch.mlm_mask)
