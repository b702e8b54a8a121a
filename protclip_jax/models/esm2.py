"""ESM-2 protein encoder (Lin et al. 2023) for packed rows: pre-LN, rotary positions."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.protein_tokenizer import MASK
from protclip_jax.models import layers

TRAINING_KEPT_FRACTION = 0.88
"""Fraction of embeddings left unmasked in ESM-2's own training: 1 − 0.15 · 0.8."""

RANDOM, NEIGHBOURS = "random", "neighbours"
INITIAL_ATTENTION = (RANDOM, NEIGHBOURS)
"""Initial attention of random weights: random, or each head at a fixed distance along the sequence
(`neighbour_attention`)."""

SIZES = {
    "8m": (6, 320, 20),
    "35m": (12, 480, 20),
    "150m": (30, 640, 20),
    "650m": (33, 1280, 20),
    "3b": (36, 2560, 40),
    "15b": (48, 5120, 40),
}
"""Layers, width and heads of the published models."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ESM2Config(layers.EncoderConfig):
    """ESM-2.

    Attributes:
      token_dropout: whether embeddings are rescaled by the fraction of masked tokens, as in the
        published models.
      initial_attention: initialisation of the attention heads, one of `INITIAL_ATTENTION`.
    """

    vocab_size: int = 33
    layer_norm_eps: float = 1e-5
    token_dropout: bool = True
    initial_attention: str = RANDOM

    def __post_init__(self):
        super().__post_init__()
        if self.initial_attention not in INITIAL_ATTENTION:
            known = " or ".join(INITIAL_ATTENTION)
            raise UserError(
                f"initial_attention='{self.initial_attention}' is unknown; expected {known}."
            )
        if self.head_dim % 2:
            raise UserError(
                f"hidden_size / num_heads = {self.head_dim} is odd, but rotary positions need an "
                "even head size; change hidden_size or num_heads."
            )


def esm2_config(name: str) -> ESM2Config:
    """Returns the shape of a published ESM-2: '8m', '35m', '150m', '650m', '3b' or '15b'.

    Raises:
      UserError: the name is unknown.

    Example:
      >>> from protclip_jax.models.esm2 import esm2_config
      >>> config = esm2_config("8m")
      >>> config.num_layers, config.hidden_size, config.head_dim
      (6, 320, 16)
    """
    if name not in SIZES:
        raise UserError(f"unknown ESM-2 size '{name}'; expected one of {', '.join(SIZES)}.")
    num_layers, hidden_size, num_heads = SIZES[name]
    return ESM2Config(
        num_layers=num_layers,
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=4 * hidden_size,
    )


def initial_inv_freq(head_dim: int) -> Float[Array, " half"]:
    """Inverse rotary frequencies 10000^(−2i/d), i = 0 … d/2 − 1 (float32)."""
    return 1.0 / 10000.0 ** (jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)


class ESM2(nn.Module):
    """Returns token representations after the final layer norm, in the config's dtype.

    Segments 1 … num_segments of a row are independent proteins; 0 is padding. `positions` restart
    in each segment. The inverse rotary frequencies are stored as parameters because the released
    models were trained with rounded values; they never receive a gradient.

    Example:
      Two proteins packed into one row:

      >>> import jax
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.esm2 import ESM2, ESM2Config
      >>> esm2 = ESM2(ESM2Config(num_layers=1, hidden_size=8, num_heads=2, intermediate_size=16))
      >>> tokens, segment_ids = jnp.array([[0, 5, 2, 0, 6, 2]]), jnp.array([[1, 1, 1, 2, 2, 2]])
      >>> positions = jnp.array([[0, 1, 2, 0, 1, 2]])
      >>> params = esm2.init(jax.random.key(0), tokens, segment_ids, positions, 2)
      >>> esm2.apply(params, tokens, segment_ids, positions, 2).shape
      (1, 6, 8)
    """

    config: ESM2Config
    gather: layers.GatherLayer | None = None

    @nn.compact
    def __call__(
        self,
        tokens: Int[Array, "R L"],
        segment_ids: Int[Array, "R L"],
        positions: Int[Array, "R L"],
        num_segments: int,
    ) -> Float[Array, "R L D"]:
        config = self.config
        scale = (segment_ids > 0).astype(jnp.float32)
        if config.token_dropout:
            scale = token_dropout_scale(tokens, segment_ids, num_segments)
        x = (
            layers.embedding(config, config.vocab_size, name="token_embedding")(tokens)
            * scale[:, :, None]
        )
        inv_freq = self.param("rotary_inv_freq", lambda _: initial_inv_freq(config.head_dim))
        rotary = layers.rotary_angles(positions, jax.lax.stop_gradient(inv_freq))
        x, _ = layers.scanned(ESM2Layer, config, self.gather, name="layers")(
            x.astype(config.dtype), segment_ids, rotary
        )
        return layers.layer_norm(config, name="final_norm")(x)


class ESM2Layer(nn.Module):
    """x + attention(norm(x)), then x + feed-forward(norm(x))."""

    config: ESM2Config

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "R L D"],
        segment_ids: Int[Array, "R L"],
        rotary: tuple[Float[Array, "R L 1 half"], Float[Array, "R L 1 half"]],
    ) -> tuple[Float[Array, "R L D"], None]:
        config = self.config
        normed = layers.layer_norm(config, name="attention_norm")(x)
        x = x + layers.SelfAttention(config, name="attention")(normed, segment_ids, rotary)
        normed = layers.layer_norm(config, name="feed_forward_norm")(x)
        return x + layers.FeedForward(config, name="feed_forward")(normed), None


def token_dropout_scale(
    tokens: Int[Array, "R L"], segment_ids: Int[Array, "R L"], num_segments: int
) -> Float[Array, "R L"]:
    """Scale of each token's embedding (float32), as in ESM-2's token dropout.

    It is 0 at `<mask>` and padding, otherwise 0.88 / (1 − masked / tokens of the segment), where
    `<cls>` and `<eos>` count as tokens.
    """
    is_mask = tokens == MASK
    # Sums over a one-hot axis are exact at any matmul precision and need no scatter or gather on
    # accelerators.
    members = segment_ids[:, :, None] == jnp.arange(1, num_segments + 1)
    total = jnp.sum(members, axis=1)
    kept = jnp.sum(members & ~is_mask[:, :, None], axis=1)
    # 1 − masked / total = kept / total. A segment with no kept tokens has nothing to scale.
    factor = TRAINING_KEPT_FRACTION * total / jnp.maximum(kept, 1)
    return jnp.where(is_mask, 0.0, jnp.sum(members * factor[:, None, :], axis=-1))
