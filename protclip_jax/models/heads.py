"""What stands on the towers: pooling over slots, projections to the common space, prototypes,
and heads that predict tokens."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from protclip_jax.models.layer_norm import LayerNorm
from protclip_jax.models.layers import gelu


def pool_slots(
    x: Float[Array, "R L D"], segment_index: Int[Array, "R L"], num: int
) -> Float[Array, "R G D"]:
    """Mean of the tokens of each group 1 … num of a row, in float32; zeros for a group without
    tokens.

    Args:
      x: token representations, any float dtype.
      segment_index: 0 = padding, else the token's group: a slot id, or a text segment id (slot −
        1)·5 + property + 1, which pools the full biotexts and the properties of all slots at once.
      num: the number of groups G.
    """
    member = segment_index[:, :, None] == jnp.arange(1, num + 1)
    # A one-hot product instead of scatter-adds. 0 and 1 are exact in every dtype; sums accumulate
    # in float32.
    total = jnp.einsum(
        "rlg,rld->rgd",
        member.astype(x.dtype),
        x,
        precision=jax.lax.Precision.HIGHEST,
        preferred_element_type=jnp.float32,
    )
    return total / jnp.maximum(jnp.sum(member, axis=1), 1)[:, :, None]


def sum_slots(
    x: Float[Array, "R L D"], slot_ids: Int[Array, "R L"], num: int, weights: Float[Array, "R L W"]
) -> Float[Array, "R G W D"]:
    """Weighted sums of the tokens of each slot 1 … num of a row, one for each of the W sets of
    weights, in float32."""
    member = slot_ids[:, :, None, None] == jnp.arange(1, num + 1)[:, None]
    return jnp.einsum(
        "rlgw,rld->rgwd",
        member * weights[:, :, None],
        x.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )


MIN_SQUARED_NORM = 1e-12
"""Below it (norm 1e-6) a vector counts as zero and is not blown up to unit norm."""


class Projection(nn.Module):
    """Linear → ReLU → Linear, both to `features`; not normalised.

    The first product runs in `dtype`. The second gives float32: its results are normalised, scaled
    by up to 100 and differenced (min–max), where bfloat16 would show. Parameters are float32.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N P"]:
        hidden = nn.relu(nn.Dense(self.features, dtype=self.dtype, name="input")(x))
        return nn.Dense(self.features, dtype=jnp.float32, name="output")(hidden)


def unit_norm(x: Float[Array, "*N P"]) -> Float[Array, "*N P"]:
    """x / ‖x‖ in float32; a zero vector stays zero, with a finite gradient."""
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), MIN_SQUARED_NORM))


UNIT, NORMAL = "unit", "normal"

PROTOTYPE_INITS = {
    UNIT: nn.initializers.lecun_normal(in_axis=-1, out_axis=-2),
    NORMAL: nn.initializers.normal(1.0),
}
"""How prototypes start: with unit norm on average, or as N(0, 1), as released (norm √features)."""


class PrototypeBank(nn.Module):
    """softmax((t·Mᵀ + noise) / τ)·M with prototypes M [num_prototypes, features], all in
    float32."""

    num_prototypes: int
    features: int
    temperature: float = 0.9
    initial: str = UNIT

    @nn.compact
    def __call__(
        self, t: Float[Array, "*N P"], noise: Float[Array, "*N M"] | None
    ) -> Float[Array, "*N P"]:
        """Prototypes of `t`, unnormalised property embeddings. `noise` is Gumbel noise in
        training, None elsewhere."""
        shape = self.num_prototypes, self.features
        bank = self.param("prototypes", PROTOTYPE_INITS[self.initial], shape, jnp.float32)
        logits = jnp.matmul(t.astype(jnp.float32), bank.T, precision=jax.lax.Precision.HIGHEST)
        if noise is not None:
            logits += noise
        return jnp.matmul(
            jax.nn.softmax(logits / self.temperature), bank, precision=jax.lax.Precision.HIGHEST
        )


class TokenHead(nn.Module):
    """Linear → GELU (exact) → LayerNorm → Linear to the vocabulary; logits in float32 for the
    softmax after it."""

    hidden_size: int
    vocab_size: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N V"]:
        hidden = gelu(nn.Dense(self.hidden_size, dtype=self.dtype, name="input")(x))
        hidden = LayerNorm(1e-5, self.dtype, name="norm")(hidden)
        return nn.Dense(self.vocab_size, dtype=jnp.float32, name="output")(hidden)
