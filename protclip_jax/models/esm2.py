"""ESM-2 protein encoder (Lin et al. 2023): pre-LN transformer with rotary positions, over packed
rows."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.protein_tokenizer import MASK
from protclip_jax.models import layers

TRAINING_KEPT_FRACTION = 0.88
"""Fraction of embeddings that ESM-2's own training left unmasked: 1 − 0.15 · 0.8."""

RANDOM, NEIGHBOURS = "random", "neighbours"
INITIAL_ATTENTION = (RANDOM, NEIGHBOURS)
"""How the heads of random weights start: anywhere, or each at a fixed distance, see
`neighbour_attention`."""

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
      initial_attention: how random heads start, one of `INITIAL_ATTENTION`.
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
                f"hidden_size / num_heads = {self.head_dim} is odd, but rotary positions "
                "turn pairs; change one."
            )


def esm2_config(name: str) -> ESM2Config:
    """The shape of a published ESM-2: '8m', '35m', '150m', '650m', '3b' or '15b'."""
    if name not in SIZES:
        raise UserError(f"'{name}' is no ESM-2 size; use one of {', '.join(SIZES)}.")
    num_layers, hidden_size, num_heads = SIZES[name]
    return ESM2Config(
        num_layers=num_layers,
        hidden_size=hidden_size,
        num_heads=num_heads,
        intermediate_size=4 * hidden_size,
    )


def initial_inv_freq(head_dim: int) -> Float[Array, " half"]:
    """Inverse frequencies 10000^(−2i/d) of the rotary positions, i = 0 … d/2 − 1 (float32)."""
    return 1.0 / 10000.0 ** (jnp.arange(0, head_dim, 2, dtype=jnp.float32) / head_dim)


class ESM2(nn.Module):
    """Token representations after the final layer norm, in the config's dtype.

    Segments 1 … num_segments of a row are independent proteins, 0 is padding; `positions` restart
    in each. The rotary inverse frequencies lie among the parameters, because released weights carry
    rounded ones that their other weights were trained with; they never get a gradient.
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
    """Factor of each token's embedding (float32): 0 for `<mask>` and padding, else 0.88 / (1 −
    masked / tokens of its segment).

    `<cls>` and `<eos>` count among the tokens.
    """
    is_mask = tokens == MASK
    # Sums over a one-hot axis: exact in any matmul precision, and no scatter or gather on
    # accelerators.
    members = segment_ids[:, :, None] == jnp.arange(1, num_segments + 1)
    total = jnp.sum(members, axis=1)
    kept = jnp.sum(members & ~is_mask[:, :, None], axis=1)
    # 1 − masked / total = kept / total; a segment of masks alone (or none) has nothing to scale.
    factor = TRAINING_KEPT_FRACTION * total / jnp.maximum(kept, 1)
    return jnp.where(is_mask, 0.0, jnp.sum(members * factor[:, None, :], axis=-1))
