"""Trains a bridge on a graph's triplets, with sampled negative tails and early stopping."""

import functools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int
from ml_collections import ConfigDict

from data_pipelines.common.progress import progress
from eval.benchmarks.cross_modal.bridge import Bridge, Places, forward_flops, info_nce
from protclip_jax.models.heads import unit_norm


class EmbeddedGraph(NamedTuple):
    """The triplets of a knowledge graph whose nodes have embeddings."""

    tables: Sequence[Float[np.ndarray, "_ _"]]
    """For each node type the float32 embeddings of its nodes."""
    nodes: Places
    """The row of each node's embedding in its table; −1 without an embedding."""
    triplets: Int[np.ndarray, "N 3"]
    """(head, relation, tail)."""


class Batch(NamedTuple):
    """B triplets, each with K negative tails."""

    heads: Places
    relations: Int[np.ndarray | Array, " B"]
    tails: Places
    negatives: Places
    admitted: Bool[np.ndarray | Array, "B K"]
    """False for a sampled node that is a known tail of the head."""


class Trained(NamedTuple):
    """The bridge at its best step on the validation heads."""

    params: Mapping
    step: int
    valid_score: float
    steps: int
    """The number of steps made."""
    loss: float
    """Mean since the last evaluation."""
    flops: float
    """Seconds spent in training steps."""


class Negatives:
    """Draws negatives: heads of training triplets that are not known tails of the triplet's head.

    Tails by any relation count as known.
    """

    def __init__(self, triplets: Int[np.ndarray, "N 3"], types: Int[np.ndarray, " nodes"]):
        self._nodes = len(types)
        heads = np.unique(triplets[:, 0])
        self._pool = heads[np.argsort(types[heads], kind="stable")]
        self._counts = np.bincount(types[heads], minlength=types.max() + 1)
        self._starts = np.cumsum(self._counts) - self._counts
        self._known = np.unique(triplets[:, 0].astype(np.int64) * self._nodes + triplets[:, 2])

    def draw(
        self,
        heads: Int[np.ndarray, " B"],
        types: Int[np.ndarray, " B"],
        *,
        count: int,
        rng: np.random.Generator,
    ) -> tuple[Int[np.ndarray, "B K"], Bool[np.ndarray, "B K"]]:
        """Draws `count` nodes of the given type per head, and says which are negatives.

        Nodes are drawn with replacement.

        A type that heads no training triplet has no negatives: node 0, not admitted.
        """
        positions = self._starts[types][:, None] + rng.integers(
            np.maximum(self._counts[types], 1)[:, None], size=(len(types), count)
        )
        drawn = self._pool[np.minimum(positions, len(self._pool) - 1)]
        keys = heads[:, None].astype(np.int64) * self._nodes + drawn
        found = (
            self._known[np.minimum(np.searchsorted(self._known, keys), len(self._known) - 1)]
            == keys
        )
        possible = (self._counts[types] > 0)[:, None]
        return np.where(possible, drawn, 0), ~found & possible


def batches(
    graph: EmbeddedGraph, triplets: Int[np.ndarray, "N 3"], *, size: int, negatives: int, seed: int
) -> Iterator[Batch]:
    """Endless batches of equal size, every epoch in a new order.

    A batch may hold the end of one epoch and the start of the next.
    """
    rng = np.random.default_rng(seed)
    sampler = Negatives(triplets, graph.nodes.types)
    waiting = np.zeros(0, np.int64)
    while True:
        while len(waiting) < size:
            waiting = np.concatenate([waiting, rng.permutation(len(triplets))])
        chosen, waiting = triplets[waiting[:size]], waiting[size:]
        heads, relations, tails = chosen.T
        others, admitted = sampler.draw(heads, graph.nodes.types[tails], count=negatives, rng=rng)
        yield Batch(
            positions(graph, heads),
            relations,
            positions(graph, tails),
            positions(graph, others),
            admitted,
        )


def positions(graph: EmbeddedGraph, nodes: Int[np.ndarray, "..."]) -> Places:
    """The table rows of the graph's nodes."""
    return Places(graph.nodes.types[nodes], graph.nodes.rows[nodes])


def learning_rate(step: int, *, steps: int, options: ConfigDict) -> float:
    """Linear warm-up over `warmup_fraction` of all steps, then linear decay to 0."""
    warmup = max(1, round(options.warmup_fraction * steps))
    return options.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def make_direction(*, weight_decay: float, clip_norm: float) -> optax.GradientTransformation:
    """AdamW's update direction from clipped gradients, before multiplication by −learning rate."""
    return optax.chain(
        optax.clip_by_global_norm(clip_norm),
        optax.scale_by_adam(),
        optax.add_decayed_weights(weight_decay),
    )


@functools.partial(jax.jit, static_argnums=0, static_argnames=("weight_decay", "clip_norm"))
def step(
    bridge: Bridge,
    state: tuple[Mapping, optax.OptState],
    tables: Sequence[Float[Array, "_ _"]],
    batch: Batch,
    *,
    key: Array,
    rate: Float[Array, ""],
    weight_decay: float,
    clip_norm: float,
) -> tuple[tuple[Mapping, optax.OptState], Float[Array, ""]]:
    """One update; also returns the loss before it."""

    def loss(params):
        def of(module: Bridge):
            queries = module(
                tables,
                batch.heads,
                relations=batch.relations,
                tail_types=batch.tails.types,
                training=True,
            )
            tails, negatives = (
                module.project(tables, batch.tails),
                module.project(tables, batch.negatives),
            )
            return info_nce(queries, tails, negatives, batch.admitted).mean()

        return bridge.apply({"params": params}, rngs={"dropout": key}, method=of)

    params, optimizer_state = state
    value, gradients = jax.value_and_grad(loss)(params)
    optimizer = make_direction(weight_decay=weight_decay, clip_norm=clip_norm)
    direction, optimizer_state = optimizer.update(gradients, optimizer_state, params)
    return (jax.tree.map(lambda p, d: p - rate * d, params, direction), optimizer_state), value


def train_bridge(
    bridge: Bridge,
    graph: EmbeddedGraph,
    triplets: Int[np.ndarray, "N 3"],
    *,
    score: Callable[[Mapping], float],
    options: ConfigDict,
    seed: int,
) -> Trained:
    """Trains for `options.epochs` passes, stopping early when `score` stops rising.

    The limit is `options.patience` evaluations.

    Args:
      triplets: the training triplets; heads and tails index into `graph`.
      score: of the parameters; higher is better.
      options: as in configs/eval/cross_modal.py; `eval_every` counts steps.
    """
    first, dropout = jax.random.split(jax.random.key(seed))
    tables = tuple(map(jnp.asarray, graph.tables))
    source = batches(
        graph, triplets, size=options.batch_triplets, negatives=options.negatives, seed=seed
    )
    params = _start(bridge, first, tables)
    optimizer = {"weight_decay": options.weight_decay, "clip_norm": options.clip_norm}
    state = params, make_direction(**optimizer).init(params)
    steps = math.ceil(options.epochs * len(triplets) / options.batch_triplets)
    best, losses, since = None, [], 0
    for number in progress(range(steps), description="bridge", unit="steps"):
        rate = jnp.float32(learning_rate(number, steps=steps, options=options))
        key = jax.random.fold_in(dropout, number)
        state, loss = step(bridge, state, tables, next(source), key=key, rate=rate, **optimizer)
        losses.append(loss)
        if (number + 1) % options.eval_every and number + 1 < steps:
            continue
        value, mean = score(state[0]), float(jnp.stack(losses).mean())
        if best is None or value > best.valid_score:
            best, since = Trained(state[0], number + 1, value, 0, 0.0, 0.0), 0
        else:
            since += 1
        made, losses = number + 1, []
        if since == options.patience:
            break
    widths = [table.shape[1] for table in graph.tables]
    flops = (
        3
        * made
        * options.batch_triplets
        * forward_flops(bridge, widths=widths, negatives=options.negatives)
    )
    return best._replace(steps=made, loss=mean, flops=flops)


@functools.partial(jax.jit, static_argnums=0)
def _start(bridge: Bridge, key: Array, tables: Sequence[Float[Array, "_ _"]]) -> Mapping:
    one = jnp.zeros(1, jnp.int32)
    return bridge.init(
        key, tables, Places(one, one), relations=one, tail_types=one, training=False
    )["params"]


@functools.partial(jax.jit, static_argnums=0)
def _transformed(bridge, params, tables, heads: Places, relations, tail_types):
    inputs = {"relations": relations, "tail_types": tail_types}
    return unit_norm(bridge.apply({"params": params}, tables, heads, **inputs, training=False))


@functools.partial(jax.jit, static_argnums=0)
def _projected(bridge, params, tables, nodes: Places):
    return unit_norm(bridge.apply({"params": params}, tables, nodes, method=Bridge.project))


AT_ONCE = 1024


def query_vectors(
    bridge: Bridge,
    params: Mapping,
    graph: EmbeddedGraph,
    *,
    heads: Int[np.ndarray, " Q"],
    relation: int,
    tail_type: int,
) -> Float[np.ndarray, "Q H"]:
    """Unit-norm predictions of where the tails of heads should lie."""
    fixed = np.full(AT_ONCE, relation), np.full(AT_ONCE, tail_type)
    return _in_chunks(
        heads,
        lambda some: _transformed(bridge, params, graph.tables, positions(graph, some), *fixed),
    )


def node_vectors(
    bridge: Bridge, params: Mapping, graph: EmbeddedGraph, nodes: Int[np.ndarray, " M"]
) -> Float[np.ndarray, "M H"]:
    """Unit-norm projections of nodes, to compare with queries."""
    return _in_chunks(
        nodes, lambda some: _projected(bridge, params, graph.tables, positions(graph, some))
    )


def _in_chunks(
    nodes: Int[np.ndarray, " n"], call: Callable[[np.ndarray], Array]
) -> Float[np.ndarray, "n H"]:
    """Calls with `AT_ONCE` nodes at a time, the last call padded, so one program suffices."""
    padded = np.pad(nodes, (0, -len(nodes) % AT_ONCE)).reshape(-1, AT_ONCE)
    return np.concatenate([np.asarray(call(some)) for some in padded])[: len(nodes)]
