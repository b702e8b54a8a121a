"""BERT text encoder (Devlin et al. 2019) for packed rows: post-LN, learnt absolute positions."""

import dataclasses

import flax.linen as nn
from jaxtyping import Array, Float, Int

from protclip_jax.models import layers

NUM_TOKEN_TYPES = 2
"""Rows of the token-type table; all tokens here have type 0."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class BertConfig(layers.EncoderConfig):
    """BERT; `max_positions` is the size of the position table, the longest possible segment."""

    max_positions: int = 512
    layer_norm_eps: float = 1e-12


class Bert(nn.Module):
    """Returns token representations after the last layer, in the config's dtype; no pooler.

    Segment ids are unique per text in a row; 0 is padding. `positions` restart in each segment, and
    a position beyond the table gives NaN. There is no dropout, not even in training: the tower is
    frozen by default and must then be a fixed function.

    Example:
      >>> import jax
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.bert import Bert, BertConfig
      >>> bert = Bert(
      ...     BertConfig(
      ...         num_layers=1, hidden_size=8, num_heads=2, intermediate_size=16, vocab_size=30
      ...     )
      ... )
      >>> tokens, segment_ids = jnp.array([[2, 7, 3, 0]]), jnp.array([[1, 1, 1, 0]])
      >>> positions = jnp.array([[0, 1, 2, 0]])
      >>> params = bert.init(jax.random.key(0), tokens, segment_ids, positions)
      >>> bert.apply(params, tokens, segment_ids, positions).shape
      (1, 4, 8)
    """

    config: BertConfig
    gather: layers.GatherLayer | None = None

    @nn.compact
    def __call__(
        self,
        tokens: Int[Array, "R L"],
        segment_ids: Int[Array, "R L"],
        positions: Int[Array, "R L"],
    ) -> Float[Array, "R L T"]:
        config = self.config
        x = layers.embedding(config, config.vocab_size, name="token_embedding")(tokens)
        x = x + layers.embedding(config, config.max_positions, name="position_embedding")(positions)
        x = x + layers.embedding(config, NUM_TOKEN_TYPES, name="token_type_embedding").embedding[0]
        x = layers.layer_norm(config, name="embedding_norm")(x)
        x, _ = layers.scanned(BertLayer, config, self.gather, name="layers")(x, segment_ids)
        return x


class BertLayer(nn.Module):
    """norm(x + attention(x)), then norm(x + feed-forward(x))."""

    config: BertConfig

    @nn.compact
    def __call__(
        self, x: Float[Array, "R L T"], segment_ids: Int[Array, "R L"]
    ) -> tuple[Float[Array, "R L T"], None]:
        config = self.config
        attended = layers.SelfAttention(config, name="attention")(x, segment_ids)
        x = layers.layer_norm(config, name="attention_norm")(x + attended)
        fed = layers.FeedForward(config, name="feed_forward")(x)
        return layers.layer_norm(config, name="feed_forward_norm")(x + fed), None
