"""Layers on top of the towers: pooling, projections, prototypes and token prediction heads."""

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from protclip_jax.models.layer_norm import LayerNorm
from protclip_jax.models.layers import gelu


def pool_slots(
    x: Float[Array, "R L D"], segment_index: Int[Array, "R L"], num: int
) -> Float[Array, "R G D"]:
    """Mean of the tokens of each group 1 … num in a row (float32); zeros for an empty group.

    Args:
      x: token representations, any float dtype.
      segment_index: each token's group, or 0 for padding. Groups are slot ids, or text segment ids
        (slot − 1)·5 + property + 1, which pool the full biotexts and properties of all slots.
      num: the number of groups G.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.heads import pool_slots
      >>> x = jnp.array([[[1.0], [3.0], [5.0], [9.0]]])
      >>> print(pool_slots(x, jnp.array([[1, 1, 2, 0]]), 2)[0, :, 0])
      [2. 5.]
    """
    member = segment_index[:, :, None] == jnp.arange(1, num + 1)
    # A one-hot product replaces scatter-adds. 0 and 1 are exact in every dtype; the sums accumulate
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
    """Weighted token sums of each slot 1 … num in a row, for W sets of weights (float32)."""
    member = slot_ids[:, :, None, None] == jnp.arange(1, num + 1)[:, None]
    return jnp.einsum(
        "rlgw,rld->rgwd",
        member * weights[:, :, None],
        x.astype(jnp.float32),
        precision=jax.lax.Precision.HIGHEST,
    )


MIN_SQUARED_NORM = 1e-12
"""Vectors below this squared norm (norm 1e-6) count as zero and are not scaled to unit norm."""


class Projection(nn.Module):
    """Linear → ReLU → Linear, both to `features`; not normalised.

    The first product runs in `dtype`. The second gives float32, because its results are normalised,
    scaled by up to 100 and subtracted (min–max), where bfloat16 errors would show. Parameters are
    float32.
    """

    features: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N P"]:
        hidden = nn.relu(nn.Dense(self.features, dtype=self.dtype, name="input")(x))
        return nn.Dense(self.features, dtype=jnp.float32, name="output")(hidden)


def unit_norm(x: Float[Array, "*N P"]) -> Float[Array, "*N P"]:
    """x / ‖x‖ in float32; a zero vector stays zero, with a finite gradient.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.heads import unit_norm
      >>> print(unit_norm(jnp.array([[0.0, 2.0], [0.0, 0.0]])))
      [[0. 1.]
       [0. 0.]]
    """
    x = x.astype(jnp.float32)
    return x * jax.lax.rsqrt(jnp.maximum(jnp.sum(x * x, axis=-1, keepdims=True), MIN_SQUARED_NORM))


UNIT, NORMAL = "unit", "normal"

PROTOTYPE_INITS = {
    UNIT: nn.initializers.lecun_normal(in_axis=-1, out_axis=-2),
    NORMAL: nn.initializers.normal(1.0),
}
"""Initial prototypes: unit norm on average, or N(0, 1) as in the released model, norm √features."""


class PrototypeBank(nn.Module):
    """softmax((t·Mᵀ + noise) / τ)·M with prototypes M [num_prototypes, features], in float32."""

    num_prototypes: int
    features: int
    temperature: float = 0.9
    initial: str = UNIT

    @nn.compact
    def __call__(
        self, t: Float[Array, "*N P"], noise: Float[Array, "*N M"] | None
    ) -> Float[Array, "*N P"]:
        """Re-expresses the unnormalised property embeddings `t` by prototypes.

        `noise` is Gumbel noise in training and None otherwise.
        """
        shape = self.num_prototypes, self.features
        bank = self.param("prototypes", PROTOTYPE_INITS[self.initial], shape, jnp.float32)
        logits = jnp.matmul(t.astype(jnp.float32), bank.T, precision=jax.lax.Precision.HIGHEST)
        if noise is not None:
            logits += noise
        return jnp.matmul(
            jax.nn.softmax(logits / self.temperature), bank, precision=jax.lax.Precision.HIGHEST
        )


class TokenHead(nn.Module):
    """Linear → GELU (exact) → LayerNorm → Linear to vocabulary logits, which are float32."""

    hidden_size: int
    vocab_size: int
    dtype: str = "float32"

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N V"]:
        hidden = gelu(nn.Dense(self.hidden_size, dtype=self.dtype, name="input")(x))
        hidden = LayerNorm(1e-5, self.dtype, name="norm")(hidden)
        return nn.Dense(self.vocab_size, dtype=jnp.float32, name="output")(hidden)
