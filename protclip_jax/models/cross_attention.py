"""Biotext cross-attention: protein tokens read the biotext of their own record (paper:
biotext-guided BSR)."""

import flax.linen as nn
from jaxtyping import Array, Float, Int

from protclip_jax.attention import attention as segment_attention


class BiotextCrossAttention(nn.Module):
    """Single-head attention of width `features` over the text axis, scale 1/√features; no output
    projection.

    Attributes:
      features: width of queries, keys and values.
      dtype: compute dtype; the softmax runs in float32.
      attention: implementation, see `protclip_jax.attention`.
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
        """What each projected protein token reads in the projected biotext tokens of its own slot.

        `biotext_slot_ids` is 0 at every token that must not be read: padding and property texts.
        Padding of the protein gets 0.
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
