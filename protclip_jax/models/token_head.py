"""Token head of masked language modelling and of segment reconstruction."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from protclip_jax.models.layer_norm import LayerNorm
from protclip_jax.models.layers import gelu


class TokenHead(nn.Module):
    """Linear → GELU (exact) → LayerNorm → Linear to the vocabulary; logits in float32 for the softmax after it."""

    hidden_size: int
    vocab_size: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... V"]:
        hidden = gelu(nn.Dense(self.hidden_size, dtype=self.dtype, name="input")(x))
        hidden = LayerNorm(1e-5, self.dtype, name="norm")(hidden)
        return nn.Dense(self.vocab_size, dtype=jnp.float32, name="output")(hidden)
