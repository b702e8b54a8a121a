"""SigLIP's loss: classifies each protein–text pair of the global batch on its own.

Off by default (`loss.sigmoid`). Zhai et al. 2023 (arXiv 2303.15343), section 3. Unlike InfoNCE it
has no denominator over the batch.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.common.settings import WEIGHT, Setting
from protclip_jax.objectives.candidates import Reduction, reduce_candidates
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.global_contrastive import (
    Pairs,
    are_negatives,
    check_shapes,
    labels_of,
    pairs_of,
)
from protclip_jax.objectives.info_nce import inverse_temperature
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows


def sigmoid_contrast(
    local: Pairs,
    global_: Pairs,
    *,
    first: int | Int[Array, ""],
    log_scale: Float[Array, ""],
    bias: Float[Array, ""],
    mask_duplicates: bool,
    chunk: int = 0,
) -> Mean:
    """−Σ_j log sigmoid(z_ij · (scale · protein_i·text_j + bias)), averaged over the real slots i.

    z is 1 for the own text and −1 for the text of every other real slot of the global batch.

    Args:
      local: the slots that the loss is computed for: all, or those of one device.
      global_: the slots of the global batch, including the local ones.
      first: index of the first local slot in `global_`.
      log_scale: log of the scale.
      bias: added to every logit.
      mask_duplicates: excludes pairs with equal biotext or sequence, which are not negatives; False
        is the paper's form.
      chunk: see `reduce_candidates`.

    Returns:
      The sum over the real local slots, and their count (float32).

    Raises:
      AssertionError: the arrays within `local` or `global_` do not match in shape.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.global_contrastive import Pairs
      >>> from protclip_jax.objectives.sigmoid_contrast import sigmoid_contrast
      >>> hashes = jnp.array([1, 2], jnp.uint32)
      >>> pairs = Pairs(jnp.eye(2), jnp.eye(2), jnp.array([True, True]), hashes, hashes)
      >>> loss = sigmoid_contrast(
      ...     pairs,
      ...     pairs,
      ...     first=0,
      ...     log_scale=jnp.log(20.0),
      ...     bias=jnp.array(-10.0),
      ...     mask_duplicates=True,
      ... )
      >>> print(f"{loss.value():.6f}")  # softplus(-10) for the positive and for the negative
      0.000091
    """
    check_shapes(local, global_)
    proteins = inverse_temperature(log_scale) * local.protein.astype(jnp.float32)

    def of_negatives(
        logits: Float[Array, "A B"], admitted: Bool[Array, "A B"]
    ) -> Float[Array, " A"]:
        return jnp.sum(jnp.where(admitted, jax.nn.softplus(logits + bias), 0.0), axis=-1)

    negatives = reduce_candidates(
        proteins,
        global_.text.astype(jnp.float32),
        labels_of(local, first, mask_duplicates),
        labels_of(global_, 0, mask_duplicates),
        are_negatives,
        Reduction(of_negatives, jnp.add, 0.0),
        chunk=chunk,
    )
    positive = jnp.sum(proteins * local.text.astype(jnp.float32), axis=-1) + bias
    return Mean.over(jax.nn.softplus(-positive) + negatives, local.real)


class SigmoidContrast(Objective):
    """The sigmoid contrast, in place of GC or beside it.

    Its learnt scale and bias are part of the model only if its weight is not 0.
    """

    name = "sigmoid"
    title = "sigmoid contrast"
    weight = Setting(
        0.0, WEIGHT, "Weight of SigLIP's sigmoid contrast, an alternative to `loss.gc`."
    )

    def embed(self, rows: Rows) -> tuple[Float[Array, "R S P"], Float[Array, "R S P"]]:
        return rows.protein_embedding, rows.text_embedding

    def contrast(self, rows: Rows, embedded: tuple, global_batch: GlobalBatch) -> Mean:
        local = pairs_of(rows, embedded, global_batch)
        log_scale, bias = rows.sigmoid_scale_and_bias
        return sigmoid_contrast(
            local,
            global_batch.gather(local),
            first=global_batch.first,
            log_scale=log_scale,
            bias=bias,
            mask_duplicates=self.config.mask_duplicates,
            chunk=self.config.contrast_chunk,
        )
