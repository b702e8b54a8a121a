"""Reference attention, which stores the complete [Lq, Lk] score matrix; XLA optimises it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from protclip_jax.attention.backend import AttentionBackend

MASKED_SCORE = -1e30
"""Score of a masked pair. It is finite, so that a query without keys does not give NaN."""


class Dense(AttentionBackend):
    """The reference, for any platform; time and memory grow with Lq·Lk."""

    name = "dense"
    partitioned_by_compiler = True

    def attend(
        self,
        q: Float[Array, "R Lq H D"],
        k: Float[Array, "R Lk H D"],
        v: Float[Array, "R Lk H D"],
        *,
        q_segment_ids: Int[Array, "R Lq"],
        kv_segment_ids: Int[Array, "R Lk"],
    ) -> Float[Array, "R Lq H D"]:
        """Segment attention, see `protclip_jax.attention.attention`."""
        scores = jnp.einsum("rqhd,rkhd->rhqk", q, k, preferred_element_type=jnp.float32)
        scores = scores * q.shape[-1] ** -0.5
        mask = q_segment_ids[:, :, None] == kv_segment_ids[:, None, :]
        mask = mask & (q_segment_ids[:, :, None] != 0)
        mask = mask[:, None]
        weights = jax.nn.softmax(jnp.where(mask, scores, MASKED_SCORE), axis=-1)
        # A query without keys has uniform weights here. The second mask sets them, and their
        # gradients, to 0.
        weights = jnp.where(mask, weights, 0.0)
        return jnp.einsum("rhqk,rkhd->rqhd", weights.astype(v.dtype), v)
