"""Protein–protein interaction on SHS27k, SHS148k and STRING: seven types of interaction.

GNN-PPI's benchmark (Lv et al., IJCAI 2021): the pairs are known to interact. One in five is held
out by random choice, breadth-first or depth-first search (`splits.py`), and the score is the
micro-F1 of all (pair, type) cells at probability 1/2. Embeddings of the sequences are the features
of the proteins, frozen and standardised over the graph's proteins; the network is GNN-PPI's
(`eval.benchmarks.interaction.network`).

Messages travel over one of two graphs, and both are reported. `all` is GNN-PPI's default: the
network sees that test pairs interact, but not how. `training` holds only the pairs in the loss,
both in training and in prediction (GNN-PPI's variant of this name trains so and predicts over all).

Intervals draw proteins, as for semantic similarity: pairs share proteins, so they are not
independent.

Baselines: amino-acid composition as features, and the best constant answer.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from eval.benchmarks.interaction.network import InteractionNetwork, Messages, messages_over
from eval.benchmarks.interaction.splits import SPLITS, split_edges
from eval.benchmarks.interaction.training import Parts, Trained, train
from eval.data.base.task import INTERACTIONS, InteractionGraph
from eval.metrics.pairs import pair_bootstrap_interval
from eval.metrics.statistics import mean_and_std, ratio
from eval.protocols.sequence_features import composition
from eval.protocols.standardise import standardise

Embedder = Callable[[Sequence[str]], Float[np.ndarray, "n D"]]

MESSAGES = ("all", "training")
ENDPOINTS = ("none", "one", "both")
"""How many proteins of a test pair have a training pair: GNN-PPI's NS, ES and BS."""


def run(graph: InteractionGraph, embedder: Embedder, options: ConfigDict) -> dict:
    """Micro-F1 on each split, with messages over either graph, and of the baselines.

    Args:
      embedder: embeds sequences as float [n, D], in their order.
      options: as in configs/eval/protein_interaction.py.

    Returns:
      `data`, `protocol`, the result of `measure` for each split, and `flops` of all trainings
      together.

    Raises:
      UserError: an unknown split or kind of messages, a graph too small for all parts, or
      embeddings that are not finite.
    """
    for known, requested in ((SPLITS, options.splits), (MESSAGES, options.messages)):
        if unknown := [name for name in requested if name not in known]:
            raise UserError(
                f"unknown {unknown[0]!r} in the options of protein interaction; expected "
                f"{', '.join(known)}."
            )
    features = {"embeddings": standardise(embedder(graph.sequences))}
    if options.composition_baseline:
        features["composition"] = standardise(composition(graph.sequences))
    splits = {
        name: measure(graph, features, split=name, options=options) for name in options.splits
    }
    counts = dict(zip(INTERACTIONS, graph.labels.sum(0).tolist(), strict=True))
    widths = {source: vectors.shape[1] for source, vectors in features.items()}
    return {
        "data": {"proteins": len(graph.names), "pairs": len(graph.edges), "pairs_by_type": counts},
        "protocol": {
            "seeds": options.seeds,
            "epochs": options.epochs,
            "width_of_features": widths,
            "epoch_chosen_by": f"micro-F1 on {options.valid_fraction:.0%} of the training part, "
            "not on the test part",
        },
        "splits": splits,
        "flops": sum(split["flops"] for split in splits.values()),
    }


def measure(
    graph: InteractionGraph,
    features: Mapping[str, Float[np.ndarray, "_ _"]],
    *,
    split: str,
    options: ConfigDict,
) -> dict:
    """Measures one split with `options.seeds` seeds of its choice, network start and shuffles.

    Returns:
      the sizes of the `parts`, the test pairs by their `seen_endpoints`, and `scores` from
      `summarize`, by features and messages (`"embeddings, all"`), and of the `constant` answer.
    """
    parts = [
        divide(graph, split, seed=seed, valid_fraction=options.valid_fraction)
        for seed in range(options.seeds)
    ]
    scores = {
        "constant": summarize(graph, parts, [constant_answer(graph.labels, own) for own in parts])
    }
    flops = 0.0
    for source, vectors in features.items():
        for messages in options.messages:
            trained = [
                train_one(graph, vectors, messages=messages, parts=own, options=options, seed=seed)
                for seed, own in enumerate(parts)
            ]
            summary = summarize(graph, parts, [one.logits for one in trained])
            scores[f"{source}, {messages}"] = summary | _epoch_facts(trained)
            flops += sum(one.flops for one in trained)
    seen = [np.bincount(seen_endpoints(graph, own), minlength=3) for own in parts]
    sizes = {}
    for part in Parts._fields:
        sizes[part] = [len(getattr(own, part)) for own in parts]
    by_seen = dict(zip(ENDPOINTS, np.stack(seen, axis=1).tolist(), strict=True))
    return {"parts": sizes, "seen_endpoints": by_seen, "scores": scores, "flops": flops}


def _epoch_facts(trained: Sequence[Trained]) -> dict:
    valid = [one.valid_f1 for one in trained]
    best_test = [one.best_test_f1 for one in trained]
    return {
        "chosen_epochs": [one.epoch for one in trained],
        "valid_f1": float(np.mean(valid)),
        "best_test_epoch_f1": float(np.mean(best_test)),
    }


def divide(graph: InteractionGraph, split: str, *, seed: int, valid_fraction: float) -> Parts:
    """Splits off the test part and cuts the rest at random into training and validation."""
    training, test = split_edges(graph.edges, nodes=len(graph.names), method=split, seed=seed)
    shuffled = np.random.default_rng(seed).permutation(training)
    count = round(valid_fraction * len(shuffled))
    parts = Parts(np.sort(shuffled[count:]), np.sort(shuffled[:count]), test)
    if empty := [name for name, positions in parts._asdict().items() if not len(positions)]:
        raise UserError(
            f"the {split} split of {len(graph.edges)} interactions leaves none for {empty[0]}; "
            "use a larger graph."
        )
    return parts


def messages_for(graph: InteractionGraph, kind: str, parts: Parts) -> Messages:
    """The graph that carries messages, one of `MESSAGES`; both have the same shape."""
    edges = graph.edges if kind == "all" else graph.edges[parts.fit]
    return messages_over(edges, nodes=len(graph.names), slots=2 * len(graph.edges))


def train_one(
    graph: InteractionGraph,
    vectors: Float[np.ndarray, "n D"],
    *,
    messages: str,
    parts: Parts,
    options: ConfigDict,
    seed: int,
) -> Trained:
    """Trains the network on one split."""
    return train(
        InteractionNetwork(len(INTERACTIONS), **options.network),
        vectors,
        messages_for(graph, messages, parts),
        edges=graph.edges,
        labels=graph.labels,
        parts=parts,
        options=options,
        seed=seed,
    )


def constant_answer(labels: Bool[np.ndarray, "E C"], parts: Parts) -> Float[np.ndarray, "E C"]:
    """Constant ±1 logits: the k commonest types in training, k chosen by its micro-F1."""
    training = labels[np.concatenate([parts.fit, parts.valid])]
    counts = training.sum(0)
    order = np.argsort(-counts, kind="stable")
    # F1 = 2·TP / (predicted + true) when every pair is given the k commonest types.
    predicted = np.arange(1, len(order) + 1)
    scores = 2 * np.cumsum(counts[order]) / (predicted * len(training) + counts.sum())
    answer = np.full(labels.shape[1], -1.0)
    answer[order[: predicted[scores.argmax()]]] = 1.0
    return np.broadcast_to(answer, labels.shape)


def seen_endpoints(graph: InteractionGraph, parts: Parts) -> Int[np.ndarray, " T"]:
    """How many proteins of each test pair have a pair outside the test part."""
    seen = np.zeros(len(graph.names), int)
    seen[graph.edges[np.concatenate([parts.fit, parts.valid])]] = 1
    return seen[graph.edges[parts.test]].sum(1)


def f1_counts(
    logits: Float[np.ndarray, "T C"], labels: Bool[np.ndarray, "T C"]
) -> tuple[Int[np.ndarray, "T C"], Int[np.ndarray, "T C"]]:
    """2·TP and 2·TP + FP + FN per cell at probability 1/2; F1 is the ratio of their sums."""
    predicted = logits > 0
    return 2 * (predicted & labels), predicted.astype(int) + labels


def summarize(
    graph: InteractionGraph, parts: Sequence[Parts], logits: Sequence[Float[np.ndarray, "E C"]]
) -> dict:
    """Scores several seeds on their test parts, from the logits of all pairs.

    Returns:
      `micro_f1`, the mean of the seeds', and its `std`; each seed's in `by_seed` with 95 %
      bootstrap `intervals` over proteins; `by_type` of interaction and `by_seen_endpoints` over
      the pairs of all seeds, NaN where there are none.
    """
    counts = [
        f1_counts(own_logits[own.test], graph.labels[own.test])
        for own_logits, own in zip(logits, parts, strict=True)
    ]
    by_seed = [ratio(hits, sizes) for hits, sizes in counts]
    mean, std = mean_and_std(by_seed)
    hits, sizes = (np.concatenate(arrays) for arrays in zip(*counts, strict=True))
    seen = np.concatenate([seen_endpoints(graph, own) for own in parts])
    intervals = [
        pair_bootstrap_interval(graph.edges[own.test], own_hits.sum(1), own_sizes.sum(1))
        for (own_hits, own_sizes), own in zip(counts, parts, strict=True)
    ]
    by_type = {
        name: ratio(hits[:, position], sizes[:, position])
        for position, name in enumerate(INTERACTIONS)
    }
    by_seen = {
        name: ratio(hits[seen == position], sizes[seen == position])
        for position, name in enumerate(ENDPOINTS)
    }
    return {
        "micro_f1": mean,
        "std": std,
        "by_seed": by_seed,
        "intervals": intervals,
        "by_type": by_type,
        "by_seen_endpoints": by_seen,
    }
