"""BioBridge's bridge in Flax: maps a node's embedding to where a relation's tails should lie.

The tails have another node type.

Its definition (Wang et al., ICLR 2024; github.com/RyanWangZf/BioBridge, src/model.py and
losses.py), for a head h of type a, a relation r and tails t of type b with frozen embeddings e:

    p = W_a e_h, W_b e_t                  one bias-free linear map per node type, to width 768
    q = p + encoder([p, n_a, m_r, n_b])[0]
                                          n, m = layer norm of learnt node and relation type vectors
    loss = −log softmax of cos(q, W_b e_t) / 0.1
                                          over t and sampled nodes that are not known tails of h

The encoder is torch's default: six post-norm layers of 12 heads, feed-forward 2048, exact GELU,
dropout 0.1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from protclip_jax.models.heads import unit_norm
from protclip_jax.models.layers import gelu
from protclip_jax.objectives.info_nce import NO_NEGATIVES

TEMPERATURE = 0.1
NORM_EPS = 1e-5


class Places(NamedTuple):
    """Nodes by type and by row in the table of that type's embeddings."""

    types: Int[np.ndarray | Array, "..."]
    rows: Int[np.ndarray | Array, "..."]


class EncoderLayer(nn.Module):
    """A post-norm encoder layer: self-attention, then two linear layers with GELU.

    Each part has dropout, a residual and layer norm.
    """

    heads: int
    feed_forward: int
    dropout: float

    @nn.compact
    def __call__(self, x: Float[Array, "B 4 H"], *, training: bool) -> Float[Array, "B 4 H"]:
        def drop(values):
            return nn.Dropout(self.dropout, deterministic=not training)(values)

        attention = nn.MultiHeadDotProductAttention(
            self.heads, dropout_rate=self.dropout, deterministic=not training
        )
        x = nn.LayerNorm(NORM_EPS)(x + drop(attention(x)))
        inner = drop(gelu(nn.Dense(self.feed_forward)(x)))
        return nn.LayerNorm(NORM_EPS)(x + drop(nn.Dense(x.shape[-1])(inner)))


class Bridge(nn.Module):
    """The bridge above; `tables` holds the frozen embeddings [n, D] of each node type."""

    node_types: int
    relation_types: int
    width: int = 768
    layers: int = 6
    heads: int = 12
    feed_forward: int = 2048
    dropout: float = 0.1

    def setup(self):
        self.projections = [nn.Dense(self.width, use_bias=False) for _ in range(self.node_types)]
        standard = nn.initializers.normal(1.0)
        self.node_type = nn.Embed(self.node_types, self.width, embedding_init=standard)
        self.relation_type = nn.Embed(self.relation_types, self.width, embedding_init=standard)
        self.node_norm, self.relation_norm = nn.LayerNorm(NORM_EPS), nn.LayerNorm(NORM_EPS)
        self.encoder = [
            EncoderLayer(self.heads, self.feed_forward, self.dropout) for _ in range(self.layers)
        ]

    def project(
        self, tables: Sequence[Float[Array, "_ _"]], nodes: Places
    ) -> Float[Array, "... H"]:
        """W e of each node: applies every type's map to a table row, then selects by type."""
        projected = 0.0
        for position, (table, linear) in enumerate(zip(tables, self.projections, strict=True)):
            own = nodes.types == position
            vectors = linear(table[jnp.where(own, nodes.rows, 0)])
            projected += jnp.where(own[..., None], vectors, 0.0)
        return projected

    def __call__(
        self,
        tables: Sequence[Float[Array, "_ _"]],
        heads: Places,
        *,
        relations: Int[Array, " B"],
        tail_types: Int[Array, " B"],
        training: bool,
    ) -> Float[Array, "B H"]:
        """q of each head for a relation and a tail type; training needs a `dropout` key."""
        projected = self.project(tables, heads)
        types = self.node_norm(self.node_type(jnp.stack([heads.types, tail_types], axis=1)))
        relation = self.relation_norm(self.relation_type(relations))
        hidden = jnp.stack([projected, types[:, 0], relation, types[:, 1]], axis=1)
        for layer in self.encoder:
            hidden = layer(hidden, training=training)
        return projected + hidden[:, 0]


def info_nce(
    queries: Float[Array, "B H"],
    positives: Float[Array, "B H"],
    negatives: Float[Array, "B K H"],
    admitted: Bool[Array, "B K"],
) -> Float[Array, " B"]:
    """−log of the positive's share of exp(cos / 0.1) among itself and the admitted negatives.

    0 if no negative is admitted.
    """
    queries, positives, negatives = (
        unit_norm(vectors) for vectors in (queries, positives, negatives)
    )
    positive = jnp.sum(queries * positives, axis=-1) / TEMPERATURE
    against = jnp.einsum("bh,bkh->bk", queries, negatives) / TEMPERATURE
    against = jax.nn.logsumexp(jnp.where(admitted, against, NO_NEGATIVES), axis=-1)
    return jax.nn.softplus(against - positive)


def forward_flops(bridge: Bridge, *, widths: Sequence[int], negatives: int) -> float:
    """FLOPs of one triplet's forward pass, at two per multiplication.

    Counts linear layers and attention over the four tokens. A node is projected by the maps of all
    types; `widths` are the widths of their embeddings.
    """
    projection = (2 + negatives) * sum(2.0 * width * bridge.width for width in widths)
    layer = (
        4 * 2.0 * (4 * bridge.width**2 + 2 * bridge.width * bridge.feed_forward)
        + 2 * 2.0 * 4 * 4 * bridge.width
    )
    return projection + bridge.layers * layer
