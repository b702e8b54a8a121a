"""Projection of either tower into the shared space of width d, and from there onto the unit sphere."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MIN_SQUARED_NORM = 1e-12
"""Below it (norm 1e-6) a vector counts as zero and is not blown up to unit norm."""


class Projection(nn.Module):
    """Linear → ReLU → Linear, both to `features`; not normalised.

    The first product runs in `dtype`. The second gives float32: its results are normalised, scaled by up to 100 and
    differenced (min–max), where bfloat16 would show. Parameters are float32.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "... D"]) -> Float[Array, "... P"]:
        hidden = nn.relu(nn.Dense(self.features, dtype=self.dtype, name="input")(x))
        return nn.Dense(self.features, dtype=jnp.float32, name="output")(hidden)


def unit_norm(x: Float[Array, "... P"]) -> Float[Array, "... P"]:
    """x / ‖x‖ in float32; a zero vector stays zero, with a finite gradient."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), MIN_SQUARED_NORM))
