"""cuDNN's flash attention for GPUs, with segments as a mask: simple, but it skips no blocks.

All heads share the mask, which takes 2·Lq·Lk bytes per row: 8 MB for 2,048 tokens. The kernel reads
it as a bias and also computes the bias's gradient for each head, in workspace that no report shows.
By its size this is 2·H·Lq·Lk bytes per row, 1.25 GiB for eight rows of 2,048 tokens and 20 heads.
`jax.nn.dot_product_attention` has no argument to turn it off.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import AttentionBackend


@dataclasses.dataclass(frozen=True)
class CuDNN(AttentionBackend):
    """cuDNN's flash kernel, which does not support heads as wide as the cross-attention's.

    Attributes:
      implementation: passed to `jax.nn.dot_product_attention`; 'xla' computes the same without a
        GPU.
    """

    name = "cudnn"
    platforms = ("gpu",)
    capability = (8, 0)
    dtypes = ("bfloat16",)
    cross_attention = "dense"

    implementation: str = "cudnn"

    def attend(
        self,
        q: Float[Array, "R Lq H D"],
        k: Float[Array, "R Lk H D"],
        v: Float[Array, "R Lk H D"],
        *,
        q_segment_ids: Int[Array, "R Lq"],
        kv_segment_ids: Int[Array, "R Lk"],
    ) -> Float[Array, "R Lq H D"]:
        """Segment attention, see `protclip_jax.attention.attention`; products in the dtype of q.

        Raises:
          UserError: the inputs are float32, which cuDNN's kernel does not support.
        """
        if self.implementation == "cudnn" and q.dtype == jnp.float32:
            raise UserError(
                "model.attention='cudnn' supports bfloat16 only; set model.dtype='bfloat16' or "
                "model.attention='auto'."
            )
        mask = q_segment_ids[:, :, None] == kv_segment_ids[:, None, :]
        mask = mask & (q_segment_ids > 0)[:, :, None]
        out = jax.nn.dot_product_attention(
            q, k, v, mask=mask[:, None], implementation=self.implementation
        )
        # If every key is masked, the kernel averages over all of them. `where` discards that
        # result and its gradients.
        return jnp.where(mask.any(2)[:, :, None, None], out, 0).astype(v.dtype)
