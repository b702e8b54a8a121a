"""GNN-PPI's graph network in Flax: predicts how two proteins interact.

Its inputs are a vector of every protein and the graph.

Its definition (Lv et al., IJCAI 2021; github.com/lvguofeng/GNN_PPI, gnn_model.py), for features
f_i:

    x_i = W f_i + b                                         width 256
    h_i = MLP((1 + ε) x_i + Σ_{j interacts with i} x_j)     one GIN layer (Xu et al., ICLR 2019),
                                                            width 512, ε learnt from 0
    MLP = linear, ReLU, linear, ReLU, batch norm over the proteins
    z_i = linear(dropout(ReLU(linear(h_i))))                width 512, dropout 0.5
    logits of a pair (i, j) = linear(z_i ∘ z_j)             one for each type of interaction

There f_i comes from a convolution and a GRU over a table of residue properties, trained with the
rest; here it is an embedding.
"""

from typing import NamedTuple

import flax.linen as nn
import jax
import numpy as np
from jaxtyping import Array, Float, Int


class Messages(NamedTuple):
    """Directed messages: slot m carries the vector of `senders[m]` to `receivers[m]`.

    Receivers are ascending. Empty slots come last and go to a receiver beyond the last node, so
    graphs of several sizes share a program.
    """

    senders: Int[np.ndarray | Array, " M"]
    receivers: Int[np.ndarray | Array, " M"]


def messages_over(edges: Int[np.ndarray, "E 2"], *, nodes: int, slots: int) -> Messages:
    """Both directions of undirected edges, padded to `slots` ≥ 2·E."""
    both = np.concatenate([edges, edges[:, ::-1]])
    senders, receivers = both[np.argsort(both[:, 1], kind="stable")].T
    empty = slots - len(both)
    return Messages(
        np.pad(senders, (0, empty)), np.pad(receivers, (0, empty), constant_values=nodes)
    )


def neighbour_sum(vectors: Float[Array, "N D"], messages: Messages) -> Float[Array, "N D"]:
    """For each node the sum of its incoming messages."""
    sent = vectors[messages.senders]
    sums = jax.ops.segment_sum(
        sent, messages.receivers, num_segments=len(vectors) + 1, indices_are_sorted=True
    )
    return sums[:-1]


class Linear(nn.Module):
    """W x + b with PyTorch's initialisation: both uniform within ±1/√(input width)."""

    width: int

    @nn.compact
    def __call__(self, x: Float[Array, "*N D"]) -> Float[Array, "*N width"]:
        bound = x.shape[-1] ** -0.5

        def uniform(key: Array, shape: tuple[int, ...]) -> Array:
            return jax.random.uniform(key, shape, minval=-bound, maxval=bound)

        kernel = self.param("kernel", uniform, (x.shape[-1], self.width))
        return x @ kernel + self.param("bias", uniform, (self.width,))


class GINLayer(nn.Module):
    """h_i = MLP((1 + ε) x_i + Σ_j x_j).

    In training, batch norm uses the statistics of all nodes, otherwise the running ones.
    """

    width: int

    @nn.compact
    def __call__(
        self, vectors: Float[Array, "N D"], messages: Messages, *, training: bool
    ) -> Float[Array, "N width"]:
        epsilon = self.param("epsilon", nn.initializers.zeros, ())
        hidden = (1 + epsilon) * vectors + neighbour_sum(vectors, messages)
        hidden = nn.relu(Linear(self.width, name="input")(hidden))
        hidden = nn.relu(Linear(self.width, name="output")(hidden))
        # PyTorch's momentum 0.1 weighs the new statistics, Flax's 0.9 the old ones.
        return nn.BatchNorm(
            use_running_average=not training, momentum=0.9, epsilon=1e-5, name="norm"
        )(hidden)


class InteractionNetwork(nn.Module):
    """The network above, with `layers` GIN layers in sequence (GNN-PPI trains one)."""

    types: int
    projected: int = 256
    width: int = 512
    layers: int = 1
    dropout: float = 0.5

    def setup(self):
        self.project = Linear(self.projected)
        self.convolutions = [GINLayer(self.width) for _ in range(self.layers)]
        self.inner = Linear(self.width)
        self.drop = nn.Dropout(self.dropout)
        self.outer = Linear(self.width)
        self.classifier = Linear(self.types)

    def encode(
        self, features: Float[Array, "N D"], messages: Messages, *, training: bool
    ) -> Float[Array, "N width"]:
        """z of every protein; in training it needs a `dropout` key and updates `batch_stats`."""
        hidden = self.project(features)
        for convolution in self.convolutions:
            hidden = convolution(hidden, messages, training=training)
        return self.outer(self.drop(nn.relu(self.inner(hidden)), deterministic=not training))

    def classify(
        self, encoded: Float[Array, "N width"], pairs: Int[Array, "B 2"]
    ) -> Float[Array, "B types"]:
        """Logits of pairs of proteins."""
        return self.classifier(encoded[pairs[:, 0]] * encoded[pairs[:, 1]])

    def __call__(
        self,
        features: Float[Array, "N D"],
        messages: Messages,
        pairs: Int[Array, "B 2"],
        *,
        training: bool,
    ) -> Float[Array, "B types"]:
        """Logits of pairs, from the features of all proteins."""
        return self.classify(self.encode(features, messages, training=training), pairs)


def forward_flops(
    network: InteractionNetwork, *, nodes: int, features: int, messages: int, pairs: int
) -> float:
    """FLOPs of one forward pass: two per multiplication, one per number in a message."""
    width, flops = network.width, 2.0 * nodes * features * network.projected
    entering = network.projected
    for _ in range(network.layers):
        flops += messages * entering + 2.0 * nodes * (entering * width + width * width)
        entering = width
    return flops + 2.0 * nodes * 2 * width * width + pairs * width * (1 + 2.0 * network.types)
