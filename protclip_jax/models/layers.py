"""Shared parts of both transformer encoders: config, attention, feed-forward, scan over layers.

Parameters are float32. Matrix products run in the config's `dtype` and accumulate in float32. Layer
norms, softmax, rotations and GELU compute in float32 and round their results to `dtype`. There is
no dropout in any network of this package.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention import attention
from protclip_jax.models.layer_norm import LayerNorm


def save_all_but_gathered(primitive, *_, call_jaxpr=None, **params) -> bool:
    """Remat policy that saves every result except those of `sharding.gather_weight`.

    The backward pass then gathers the weights again.
    """
    return call_jaxpr is None or all(
        equation.primitive.name != "all_gather" for equation in call_jaxpr.eqns
    )


REMAT_POLICIES = {
    "none": save_all_but_gathered,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
    "full": jax.checkpoint_policies.nothing_saveable,
}
"""What the backward pass of a layer finds saved besides its input, from most memory to least."""

GatherLayer = Callable[[Mapping], Mapping]
"""Maps a layer's variables, of which a device holds a shard, to the full variables."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Shape and execution of a transformer encoder.

    Attributes:
      attention: implementation, see `protclip_jax.attention`.
      dtype: compute dtype, 'float32' | 'bfloat16'.
      initializer_range: standard deviation of initial kernels and embeddings; biases start at 0.
      remat: activations saved for the backward pass: 'none' saves all, 'dots' only the results of
        products with weights, 'full' only each layer's input.
    """

    num_layers: int
    hidden_size: int
    num_heads: int
    intermediate_size: int
    vocab_size: int
    layer_norm_eps: float
    initializer_range: float = 0.02
    attention: str = "blockwise"
    dtype: str = "float32"
    remat: str = "none"

    def __post_init__(self):
        if self.hidden_size % self.num_heads:
            raise UserError(
                f"hidden_size={self.hidden_size} is not a multiple of "
                f"num_heads={self.num_heads}; change one of them."
            )
        if self.dtype not in ("float32", "bfloat16"):
            raise UserError(f"unknown dtype='{self.dtype}'; expected 'float32' or 'bfloat16'.")
        if self.remat not in REMAT_POLICIES:
            raise UserError(f"unknown remat='{self.remat}'; expected 'none', 'dots' or 'full'.")

    @property
    def head_dim(self) -> int:
        return self.hidden_size // self.num_heads

    @property
    def initializer(self) -> nn.initializers.Initializer:
        """Initializer of kernels and embeddings."""
        return nn.initializers.truncated_normal(self.initializer_range)


@jax.custom_jvp
def gelu(x: Float[Array, "*N"]) -> Float[Array, "*N"]:
    """Exact GELU x·Φ(x) through erf, computed in float32 and rounded to the dtype of x.

    The absolute error is below 1e-7·max(1, |x|) in float32. (`jax.nn.gelu` uses erfc, which is
    three times slower on CPU.)

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.layers import gelu
      >>> print(f"{gelu(jnp.array(1.0)):.4f}")
      0.8413
    """
    return _gelu_and_slope(x)[0]


@gelu.defjvp
def _gelu_jvp(primals, tangents):
    # The backward pass saves one array, the slope, instead of every intermediate of the formula.
    y, slope = _gelu_and_slope(*primals)
    return y, slope * tangents[0]


def _gelu_and_slope(x):
    x32 = x.astype(jnp.float32)
    cdf = 0.5 * (1.0 + jax.lax.erf(x32 * math.sqrt(0.5)))
    density = jnp.exp(-0.5 * x32 * x32) * (1.0 / math.sqrt(2.0 * math.pi))
    return (x32 * cdf).astype(x.dtype), (cdf + x32 * density).astype(x.dtype)


def layer_norm(config: EncoderConfig, name: str) -> LayerNorm:
    """Layer norm with the config's epsilon and `dtype`."""
    return LayerNorm(config.layer_norm_eps, config.dtype, name=name)


def embedding(config: EncoderConfig, rows: int, name: str) -> nn.Embed:
    """An embedding table [rows, hidden_size] in float32; an index out of range gives NaN."""
    return nn.Embed(rows, config.hidden_size, embedding_init=config.initializer, name=name)


class Dense(nn.Module):
    """x·kernel + bias with kernel [in, features], in the config's `dtype`."""

    config: EncoderConfig
    features: int

    @nn.compact
    def __call__(self, x: Float[Array, "*N in"]) -> Float[Array, "*N features"]:
        # Explicit dtypes here and elsewhere, because JAX_ENABLE_X64 changes the default.
        kernel = self.param(
            "kernel", self.config.initializer, (x.shape[-1], self.features), jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (self.features,), jnp.float32)
        # Flattened to a matrix, because XLA:CPU copies the gradient of a 3-D product to transpose
        # it, which doubles the time.
        flat = x.reshape(-1, x.shape[-1]).astype(self.config.dtype)
        y = flat @ kernel.astype(self.config.dtype) + bias.astype(self.config.dtype)
        return y.reshape(*x.shape[:-1], self.features)


class SelfAttention(nn.Module):
    """Multi-head self-attention within segments.

    `rotary` = (cos, sin), if given, rotates queries and keys.
    """

    config: EncoderConfig

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "R L D"],
        segment_ids: Int[Array, "R L"],
        rotary: tuple[Float[Array, "R L 1 half"], Float[Array, "R L 1 half"]] | None = None,
    ) -> Float[Array, "R L D"]:
        config = self.config
        qkv = Dense(config, 3 * config.hidden_size, name="qkv")(x)
        heads = (*x.shape[:2], config.num_heads, config.head_dim)
        q, k, v = (part.reshape(heads) for part in jnp.split(qkv, 3, axis=-1))
        if rotary is not None:
            q, k = rotate(q, *rotary), rotate(k, *rotary)
        context = attention(
            q,
            k,
            v,
            q_segment_ids=segment_ids,
            kv_segment_ids=segment_ids,
            implementation=config.attention,
        )
        return Dense(config, config.hidden_size, name="output")(context.reshape(x.shape))


def rotary_angles(
    positions: Int[Array, "R L"], inv_freq: Float[Array, " half"]
) -> tuple[Float[Array, "R L 1 half"], Float[Array, "R L 1 half"]]:
    """cos and sin of position × inverse frequency, with an axis for the heads (float32)."""
    angles = positions[:, :, None, None].astype(jnp.float32) * inv_freq
    return jnp.cos(angles), jnp.sin(angles)


def rotate(
    x: Float[Array, "R L H d"], cos: Float[Array, "R L 1 half"], sin: Float[Array, "R L 1 half"]
) -> Float[Array, "R L H d"]:
    """Rotary position embedding: rotates each pair (x_i, x_{i + d/2}) by its angle.

    Su et al. 2021, with the two halves paired.
    """
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    turned = jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)
    return turned.astype(x.dtype)


class FeedForward(nn.Module):
    """Linear → GELU → Linear."""

    config: EncoderConfig

    @nn.compact
    def __call__(self, x: Float[Array, "R L D"]) -> Float[Array, "R L D"]:
        config = self.config
        hidden = gelu(Dense(config, config.intermediate_size, name="input")(x))
        return Dense(config, config.hidden_size, name="output")(hidden)


def scanned(
    layer: type[nn.Module], config: EncoderConfig, gather: GatherLayer | None, name: str
) -> nn.Module:
    """Scans `config.num_layers` copies of `layer`; every parameter gains a leading layer axis.

    `layer(config)` maps (x, *constants) to (x, None); all layers receive the same constants.
    `gather`, if given, assembles a layer's parameters from the devices' shards when the layer is
    reached, and again in the backward pass, so a device never holds more than one or two full
    layers.
    """
    policy = REMAT_POLICIES[config.remat]
    if gather is not None:
        layer = nn.map_variables(layer, "params", trans_in_fn=gather)
    if gather is not None or config.remat != "none":
        # The scan already prevents XLA from merging the recomputation with the forward pass.
        layer = nn.remat(layer, policy=policy, prevent_cse=False)
    stack = nn.scan(
        layer,
        variable_axes={"params": 0},
        split_rngs={"params": True},
        in_axes=nn.broadcast,
        length=config.num_layers,
    )
    return stack(config, name=name)
