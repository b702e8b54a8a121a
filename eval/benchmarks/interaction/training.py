"""Trains GNN-PPI's network on one split: all proteins in every step, loss over batches of edges.

Follows gnn_train.py: Adam with an L2 penalty in the gradient (not decoupled), binary cross-entropy,
and the learning rate halved when the training loss stops falling. GNN-PPI scores the test part
after every epoch and reports the best; here a validation part chooses the epoch, and the best test
epoch is only recorded.
"""

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int

from data_pipelines.common.progress import progress
from eval.benchmarks.interaction.network import InteractionNetwork, Messages, forward_flops
from eval.metrics import micro_f1
from eval.protocols.heads import binary_cross_entropy


class Parts(NamedTuple):
    """Indices of edges for the loss, for choosing the epoch, and for scoring."""

    fit: Int[np.ndarray, " F"]
    valid: Int[np.ndarray, " V"]
    test: Int[np.ndarray, " T"]


class State(NamedTuple):
    """What changes in an epoch."""

    params: Mapping
    batch_stats: Mapping
    optimizer: optax.OptState


class Batches(NamedTuple):
    """Edges in batches of one size; masked-out entries are padding."""

    pairs: Int[np.ndarray | Array, "S B 2"]
    labels: Bool[np.ndarray | Array, "S B C"]
    mask: Bool[np.ndarray | Array, "S B"]


class Trained(NamedTuple):
    """Logits of all edges at the chosen epoch."""

    logits: Float[np.ndarray, "E C"]
    epoch: int
    """The first of the best epochs on the validation part, counted from 1."""
    valid_f1: float
    best_test_f1: float
    """Micro-F1 of the best epoch on the test part: GNN-PPI's own figure, optimistic."""
    flops: float


@dataclasses.dataclass
class Plateau:
    """Halves the rate when the loss has not fallen by 0.01 % for more than `patience` epochs.

    This is PyTorch's ReduceLROnPlateau.
    """

    rate: float
    patience: int
    best: float = math.inf
    waited: int = 0

    def update(self, loss: float) -> None:
        """Records an epoch's loss."""
        fell = loss < self.best * (1 - 1e-4)
        self.best, self.waited = (loss, 0) if fell else (self.best, self.waited + 1)
        if self.waited > self.patience:
            self.rate, self.waited = self.rate / 2, 0


def batches_of(
    order: Int[np.ndarray, " F"],
    edges: Int[np.ndarray, "E 2"],
    labels: Bool[np.ndarray, "E C"],
    *,
    size: int,
) -> Batches:
    """The edges at the indices `order`, in that order; the last batch is padded."""
    count = max(1, math.ceil(len(order) / size))
    positions = np.pad(order, (0, count * size - len(order))).reshape(count, size)
    mask = (np.arange(count * size) < len(order)).reshape(count, size)
    return Batches(edges[positions], labels[positions], mask)


def make_optimizer(weight_decay: float) -> optax.GradientTransformation:
    """Adam's direction for gradient + weight_decay · parameter, before −learning rate."""
    return optax.chain(optax.add_decayed_weights(weight_decay), optax.scale_by_adam())


def batch_loss(
    logits: Float[Array, "B C"], labels: Bool[Array, "B C"], mask: Bool[Array, " B"]
) -> Float[Array, ""]:
    """Binary cross-entropy, averaged over types of interaction and real edges."""
    losses = jnp.where(mask, binary_cross_entropy(logits, labels), 0.0)
    return losses.sum() / jnp.maximum(mask.sum(), 1)


@functools.partial(jax.jit, static_argnums=0, static_argnames="weight_decay")
def start(
    network: InteractionNetwork,
    features: Float[Array, "N D"],
    messages: Messages,
    key: Array,
    *,
    weight_decay: float,
) -> State:
    """Fresh parameters and optimiser state."""
    variables = network.init(key, features, messages, jnp.zeros((1, 2), jnp.int32), training=False)
    return State(
        variables["params"],
        variables["batch_stats"],
        make_optimizer(weight_decay).init(variables["params"]),
    )


@functools.partial(jax.jit, static_argnums=0, static_argnames="weight_decay")
def run_epoch(
    network: InteractionNetwork,
    state: State,
    features: Float[Array, "N D"],
    messages: Messages,
    batches: Batches,
    *,
    key: Array,
    learning_rate: Float[Array, ""],
    weight_decay: float,
) -> tuple[State, Float[Array, ""]]:
    """One step per batch; also returns the mean loss."""
    optimizer = make_optimizer(weight_decay)

    def loss(params, batch_stats, batch: Batches, dropout: Array):
        logits, changed = network.apply(
            {"params": params, "batch_stats": batch_stats},
            *(features, messages, batch.pairs),
            training=True,
            rngs={"dropout": dropout},
            mutable="batch_stats",
        )
        return batch_loss(logits, batch.labels, batch.mask), changed["batch_stats"]

    def step(state: State, item: tuple[Batches, Array]):
        (value, batch_stats), gradients = jax.value_and_grad(loss, has_aux=True)(
            state.params, state.batch_stats, *item
        )
        direction, optimizer_state = optimizer.update(gradients, state.optimizer, state.params)
        params = jax.tree.map(lambda p, d: p - learning_rate * d, state.params, direction)
        return State(params, batch_stats, optimizer_state), value

    keys = jax.random.split(key, len(batches.mask))
    state, losses = jax.lax.scan(step, state, (batches, keys))
    return state, losses.mean()


@functools.partial(jax.jit, static_argnums=0)
def predict(
    network: InteractionNetwork,
    state: State,
    features: Float[Array, "N D"],
    messages: Messages,
    pairs: Int[Array, "S B 2"],
) -> Float[Array, "S B C"]:
    """Logits without dropout and with running statistics, one batch of pairs at a time."""
    variables = {"params": state.params, "batch_stats": state.batch_stats}
    encoded = network.apply(
        variables, features, messages, training=False, method=InteractionNetwork.encode
    )
    return jax.lax.map(
        lambda some: network.apply(variables, encoded, some, method=InteractionNetwork.classify),
        pairs,
    )


def train(
    network: InteractionNetwork,
    features: Float[np.ndarray, "N D"],
    messages: Messages,
    *,
    edges: Int[np.ndarray, "E 2"],
    labels: Bool[np.ndarray, "E C"],
    parts: Parts,
    options,
    seed: int,
) -> Trained:
    """Trains for `options.epochs`; keeps the logits of the epoch with the best validation micro-F1.

    Options: epochs, batch_edges, learning_rate, weight_decay, patience (see `Plateau`).
    """
    rng = np.random.default_rng(seed)
    first, dropout = jax.random.split(jax.random.key(seed))
    features, messages = jax.tree.map(jnp.asarray, (features, messages))
    everything = batches_of(np.arange(len(edges)), edges, labels, size=options.batch_edges)
    pairs, rate = jnp.asarray(everything.pairs), Plateau(options.learning_rate, options.patience)
    state = start(network, features, messages, first, weight_decay=options.weight_decay)
    chosen, best_test, steps = None, 0.0, math.ceil(len(parts.fit) / options.batch_edges)
    for epoch in progress(range(options.epochs), description="interactions", unit="epochs"):
        batches = batches_of(rng.permutation(parts.fit), edges, labels, size=options.batch_edges)
        state, loss = run_epoch(
            *(network, state, features, messages, batches),
            key=jax.random.fold_in(dropout, epoch),
            learning_rate=jnp.float32(rate.rate),
            weight_decay=options.weight_decay,
        )
        rate.update(float(loss))
        logits = np.asarray(predict(network, state, features, messages, pairs)).reshape(
            -1, labels.shape[1]
        )[: len(edges)]
        valid_f1 = micro_f1(logits[parts.valid] > 0, labels[parts.valid])
        best_test = np.fmax(best_test, micro_f1(logits[parts.test] > 0, labels[parts.test]))
        if chosen is None or valid_f1 > chosen.valid_f1:
            chosen = Trained(logits, epoch + 1, valid_f1, 0.0, 0.0)
    sizes = {
        "nodes": features.shape[0],
        "features": features.shape[1],
        "messages": len(messages.senders),
    }
    step_flops = 3 * forward_flops(network, **sizes, pairs=options.batch_edges)
    flops = options.epochs * (
        steps * step_flops + forward_flops(network, **sizes, pairs=pairs.shape[0] * pairs.shape[1])
    )
    return chosen._replace(best_test_f1=float(best_test), flops=flops)
