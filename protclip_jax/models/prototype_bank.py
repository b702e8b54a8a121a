"""The prototype bank: property embeddings become soft mixtures of learnt prototypes (paper: property prototypes)."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class PrototypeBank(nn.Module):
    """softmax((t·Mᵀ + noise) / τ)·M with prototypes M [num_prototypes, features], all in float32.

    Prototypes start with unit norm on average.
    """

    num_prototypes: int
    features: int
    temperature: float = 0.9

    @nn.compact
    def __call__(self, t: Float[Array, "... P"], noise: Float[Array, "... M"] | None) -> Float[Array, "... P"]:
        """Prototypes of `t`, unnormalised property embeddings. `noise` is Gumbel noise in training, None elsewhere."""
        init = nn.initializers.lecun_normal(in_axis=-1, out_axis=-2)
        bank = self.param("prototypes", init, (self.num_prototypes, self.features), jnp.float32)
        logits = jnp.matmul(t.astype(jnp.float32), bank.T, precision=jax.lax.Precision.HIGHEST)
        if noise is not None:
            logits += noise
        return jnp.matmul(jax.nn.softmax(logits / self.temperature), bank, precision=jax.lax.Precision.HIGHEST)
