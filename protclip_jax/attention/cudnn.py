"""Attention for GPUs by cuDNN's flash kernel, told the segments by a mask: simple, but no block is skipped.

The mask, which all heads share, takes 2·Lq·Lk bytes a row: 8 MB for 2,048 tokens.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import AttentionBackend


def attention(
    q: Float[Array, "R Lq H D"],
    k: Float[Array, "R Lk H D"],
    v: Float[Array, "R Lk H D"],
    *,
    q_segment_ids: Int[Array, "R Lq"],
    kv_segment_ids: Int[Array, "R Lk"],
    implementation: str = "cudnn",
) -> Float[Array, "R Lq H D"]:
    """Segment attention, see `protclip_jax.attention.attention`; products in the dtype of q, softmax in float32.

    `implementation` is that of `jax.nn.dot_product_attention`; 'xla' computes the same without a GPU.

    Raises:
      UserError: in float32, which cuDNN's kernel does not compute.
    """
    if implementation == "cudnn" and q.dtype == jnp.float32:
        raise UserError("model.attention='cudnn' computes in bfloat16 only; set model.dtype='bfloat16', or use 'auto'.")
    mask = (q_segment_ids[:, :, None] == kv_segment_ids[:, None, :]) & (q_segment_ids > 0)[:, :, None]
    out = jax.nn.dot_product_attention(q, k, v, mask=mask[:, None], implementation=implementation)
    # Where every key is masked the kernel averages all of them; selected away, gradients included.
    return jnp.where(mask.any(2)[:, :, None, None], out, 0).astype(v.dtype)


class CuDNN(AttentionBackend):
    """cuDNN's flash kernel. A head as wide as the cross-attention's is too much for it."""

    name = "cudnn"
    platforms = ("gpu",)
    dtypes = ("bfloat16",)
    cross_attention = "dense"

    def attend(self, q, k, v, *, q_segment_ids, kv_segment_ids):
        return attention(q, k, v, q_segment_ids=q_segment_ids, kv_segment_ids=kv_segment_ids)
