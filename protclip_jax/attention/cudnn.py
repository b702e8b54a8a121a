"""Attention for GPUs by cuDNN's flash kernel, told the segments by a mask: simple, but no block is
skipped.

The mask, which all heads share, takes 2·Lq·Lk bytes a row: 8 MB for 2,048 tokens. The kernel takes
it as a bias and computes the bias's gradient as well, for each head, in workspace that no report
shows: by its size 2·H·Lq·Lk bytes a row, 1.25 GiB for eight rows of 2,048 tokens and 20 heads. No
argument of `jax.nn.dot_product_attention` leaves it out.
"""

import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import AttentionBackend


@dataclasses.dataclass(frozen=True)
class CuDNN(AttentionBackend):
    """cuDNN's flash kernel. A head as wide as the cross-attention's is too much for it.

    Attributes:
      implementation: of `jax.nn.dot_product_attention`; 'xla' computes the same without a GPU.
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
          UserError: in float32, which cuDNN's kernel does not compute.
        """
        if self.implementation == "cudnn" and q.dtype == jnp.float32:
            raise UserError(
                "model.attention='cudnn' computes in bfloat16 only; set "
                "model.dtype='bfloat16', or use 'auto'."
            )
        mask = q_segment_ids[:, :, None] == kv_segment_ids[:, None, :]
        mask = mask & (q_segment_ids > 0)[:, :, None]
        out = jax.nn.dot_product_attention(
            q, k, v, mask=mask[:, None], implementation=self.implementation
        )
        # Where every key is masked the kernel averages all of them; selected away, gradients
        # included.
        return jnp.where(mask.any(2)[:, :, None, None], out, 0).astype(v.dtype)
