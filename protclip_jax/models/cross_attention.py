"""Biotext cross-attention: protein tokens attend to their own record's biotext (paper: BSR)."""

import flax.linen as nn
from jaxtyping import Array, Float, Int

from protclip_jax.attention import attention as segment_attention


class BiotextCrossAttention(nn.Module):
    """Single-head attention over text tokens, scaled by 1/√features; no output projection.

    Attributes:
      features: width of queries, keys and values.
      dtype: compute dtype; the softmax runs in float32.
      attention: implementation, see `protclip_jax.attention`.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.cross_attention import BiotextCrossAttention
      >>> layer = BiotextCrossAttention(features=8)
      >>> protein, text = jnp.ones((1, 3, 8)), jnp.ones((1, 5, 8))
      >>> slot_ids, text_ids = jnp.array([[1, 1, 2]]), jnp.array([[1, 1, 2, 2, 0]])
      >>> params = layer.init(jax.random.key(0), protein, slot_ids, text, text_ids)
      >>> layer.apply(params, protein, slot_ids, text, text_ids).shape
      (1, 3, 8)
    """

    features: int
    dtype: str = "float32"
    attention: str = "blockwise"

    @nn.compact
    def __call__(
        self,
        protein: Float[Array, "R Lp P"],
        slot_ids: Int[Array, "R Lp"],
        text: Float[Array, "R Lt P"],
        biotext_slot_ids: Int[Array, "R Lt"],
    ) -> Float[Array, "R Lp P"]:
        """Attends from projected protein tokens to projected biotext tokens of the same slot.

        `biotext_slot_ids` is 0 at tokens that must not be read: padding and property texts. Protein
        padding gets 0.
        """
        query = nn.Dense(self.features, dtype=self.dtype, name="query")(protein)
        key = nn.Dense(self.features, dtype=self.dtype, name="key")(text)
        value = nn.Dense(self.features, dtype=self.dtype, name="value")(text)
        attended = segment_attention(
            *(x[:, :, None, :] for x in (query, key, value)),
            q_segment_ids=slot_ids,
            kv_segment_ids=biotext_slot_ids,
            implementation=self.attention,
        )
        return attended[:, :, 0]
