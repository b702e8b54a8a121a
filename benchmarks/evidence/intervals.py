"""Bootstrap intervals over seeds and clusters, and verdicts on endpoints."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.metrics.multilabel import average_precision

REPLICATES = 200
"""The number of resamples of a seed's clusters."""
DRAWS = 10_000
"""The number of draws of seeds, each with a resample of its clusters."""
LEVEL = 0.95


class Estimate(NamedTuple):
    """A mean over seeds, its 95 % interval, and the two-sided p of no difference."""

    mean: float
    interval: tuple[float, float]
    p: float
    by_seed: tuple[float, ...]


def cluster_draws(
    clusters: int, *, seed: int, replicates: int = REPLICATES
) -> Int[np.ndarray, "B C"]:
    """Draws as many clusters as there are, with replacement; counts how often each is drawn.

    Two models measured with the same draws are compared replicate by replicate.
    """
    return np.random.default_rng(seed).multinomial(
        clusters, np.full(clusters, 1 / clusters), size=replicates
    )


def replicate_means(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], draws: Int[np.ndarray, "B C"]
) -> Float[np.ndarray, " B"]:
    """Means of values, weighted by how often their clusters are drawn; NaN if none is drawn."""
    count = draws.shape[1]
    sums, counts = (
        np.bincount(clusters, values, minlength=count),
        np.bincount(clusters, minlength=count),
    )
    drawn = draws @ counts
    return np.divide(draws @ sums, drawn, out=np.full(len(draws), np.nan), where=drawn > 0)


def mean_average_precision(
    scores: Float[np.ndarray, "Q N"], answered: Bool[np.ndarray, "Q N"]
) -> float:
    """The mean over the questions that at least one protein answers; NaN without any."""
    rows = [(row, truth) for row, truth in zip(scores, answered, strict=True) if truth.any()]
    return (
        float(np.mean([average_precision(row, truth) for row, truth in rows]))
        if rows
        else float("nan")
    )


def replicate_map(
    scores: Float[np.ndarray, "Q N"],
    answered: Bool[np.ndarray, "Q N"],
    clusters: Int[np.ndarray, " N"],
    draws: Int[np.ndarray, "B C"],
) -> Float[np.ndarray, " B"]:
    """MAP in which each protein counts as often as its cluster is drawn."""
    found = np.zeros(len(draws))
    for replicate, times in enumerate(draws):
        chosen = np.repeat(np.arange(len(clusters)), times[clusters])
        found[replicate] = mean_average_precision(scores[:, chosen], answered[:, chosen])
    return found


def centred(value: float, replicates: Float[np.ndarray, " B"]) -> Float[np.ndarray, " B"]:
    """Shifts replicates so that their mean is the measured value; NaN stays NaN.

    Replicates of MAP lie above the value by themselves: a protein that is drawn twice ranks beside
    itself. Their spread is what an interval needs, not their place.
    """
    return replicates - (np.nanmean(replicates) - value)


def estimate(
    points: Sequence[float], replicates: Sequence[Float[np.ndarray, " B"]], *, seed: int = 0
) -> Estimate:
    """Estimates a mean over seeds: each draw resamples the seeds, and takes a replicate of each.

    Args:
      points: the measured value of each seed.
      replicates: the replicates of each seed, with its clusters resampled; they are centred.
      seed: random seed of the draws.
    """
    rng = np.random.default_rng(seed)
    pairs = zip(points, replicates, strict=True)
    table = np.stack([centred(value, of_seed) for value, of_seed in pairs])
    seeds = rng.integers(len(table), size=(DRAWS, len(table)))
    which = rng.integers(table.shape[1], size=seeds.shape)
    means = np.nanmean(table[seeds, which], axis=1)
    low, high = np.nanquantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    # One draw is added on either side, so that p is never 0.
    below, above = (
        (np.count_nonzero(means <= 0) + 1) / (DRAWS + 1),
        (np.count_nonzero(means >= 0) + 1) / (DRAWS + 1),
    )
    p = min(1.0, 2 * min(below, above))
    return Estimate(float(np.mean(points)), (float(low), float(high)), p, tuple(map(float, points)))


def verdict(found: Estimate, adjusted_p: float, *, margin: float) -> str:
    """The verdict on an endpoint.

    It is `positive` or `negative` by the sign if the adjusted p is below 0.05, `no effect` if the
    interval lies within ± `margin`, and else `undecided`, with the number of seeds at which an
    effect as large as the mean would show.
    """
    low, high = found.interval
    if adjusted_p < 1 - LEVEL and (low > 0 or high < 0):
        return "positive" if found.mean > 0 else "negative"
    if -margin < low and high < margin:
        return "no effect"
    half_width, seeds = (high - low) / 2, len(found.by_seed)
    needed = int(np.ceil(seeds * (half_width / abs(found.mean)) ** 2)) if found.mean else None
    return (
        f"undecided ({needed:,} seeds would detect an effect of this size)"
        if needed
        else "undecided"
    )
