"""Intervals that draw seeds and clusters anew, corrections for several endpoints, and what follows from both."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.metrics.multilabel import average_precision

REPLICATES = 1000
DRAWS = 10_000
LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean over seeds, its 95 % interval, and the two-sided p of no difference."""

    mean: float
    interval: tuple[float, float]
    p: float
    by_seed: tuple[float, ...]


def replicate_means(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], *, rng: np.random.Generator, replicates: int = REPLICATES
) -> Float[np.ndarray, " B"]:
    """Means of values whose clusters are drawn anew with replacement, each cluster with all its values."""
    _, members = np.unique(clusters, return_inverse=True)
    sums, counts = np.bincount(members, values), np.bincount(members)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=replicates)
    return (drawn @ sums) / (drawn @ counts)


def mean_average_precision(scores: Float[np.ndarray, "Q N"], answered: Bool[np.ndarray, "Q N"]) -> float:
    """The mean over the questions that a protein answers."""
    rows = [(row, truth) for row, truth in zip(scores, answered, strict=True) if truth.any()]
    return float(np.mean([average_precision(row, truth) for row, truth in rows])) if rows else float("nan")


def replicate_map_differences(
    first: Float[np.ndarray, "Q N"],
    second: Float[np.ndarray, "Q N"],
    answered: Bool[np.ndarray, "Q N"],
    clusters: Int[np.ndarray, " N"],
    *,
    rng: np.random.Generator,
    replicates: int = REPLICATES,
) -> Float[np.ndarray, " B"]:
    """MAP of the first scores minus that of the second, the clusters of proteins drawn anew with replacement."""
    names, members = np.unique(clusters, return_inverse=True)
    places = [np.flatnonzero(members == cluster) for cluster in range(len(names))]
    differences = np.zeros(replicates)
    for replicate in range(replicates):
        chosen = np.concatenate([places[cluster] for cluster in rng.integers(len(places), size=len(places))])
        both = (mean_average_precision(scores[:, chosen], answered[:, chosen]) for scores in (first, second))
        differences[replicate] = np.subtract(*both)
    return differences


def estimate(
    points: Sequence[float], replicates: Sequence[Float[np.ndarray, " B"]], *, rng: np.random.Generator, draws: int = DRAWS
) -> Estimate:
    """Over seeds: each draw takes seeds with replacement, and of each a replicate of its clusters.

    Args:
      points: of each seed, what was measured.
      replicates: of each seed, the same with its clusters drawn anew.
    """
    table = np.stack(list(replicates))
    seeds = rng.integers(len(table), size=(draws, len(table)))
    which = rng.integers(table.shape[1], size=seeds.shape)
    means = table[seeds, which].mean(1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # A draw more on either side: no p is 0.
    below, above = (np.count_nonzero(means <= 0) + 1) / (draws + 1), (np.count_nonzero(means >= 0) + 1) / (draws + 1)
    p = min(1.0, 2 * min(below, above))
    return Estimate(float(np.mean(points)), (float(low), float(high)), p, tuple(map(float, points)))


def holm(ps: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p of each endpoint: the k-th smallest of m times m − k + 1, never below the one before it."""
    adjusted, largest = {}, 0.0
    for rank, name in enumerate(sorted(ps, key=ps.get)):
        largest = max(largest, min(1.0, ps[name] * (len(ps) - rank)))
        adjusted[name] = largest
    return adjusted


def verdict(found: Estimate, adjusted_p: float, *, margin: float) -> str:
    """What an endpoint shows.

    `positive` or `negative` where the adjusted p is below 0.05, by the sign; `no effect` where the interval lies within
    ± `margin`; else `undecided`, with the seeds at which an effect as large as the mean would show.
    """
    low, high = found.interval
    if adjusted_p < 1 - LEVEL and (low > 0 or high < 0):
        return "positive" if found.mean > 0 else "negative"
    if -margin < low and high < margin:
        return "no effect"
    half_width, seeds = (high - low) / 2, len(found.by_seed)
    needed = int(np.ceil(seeds * (half_width / abs(found.mean)) ** 2)) if found.mean else None
    return f"undecided ({needed:,} seeds would tell an effect of this size)" if needed else "undecided"
