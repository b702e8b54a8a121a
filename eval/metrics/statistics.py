"""Statistics shared by the evaluations: AUROC, bootstrap intervals, means over seeds."""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int, Real, Shaped

RESAMPLES = 2000
COVERAGE = 0.95
DRAWS_AT_ONCE = 2**20


def auroc(scores: Float[np.ndarray, " N"], labels: Bool[np.ndarray, " N"]) -> float:
    """AUROC: the probability that a positive scores above a negative, ties counting half.

    NaN if either class is empty.

    Computed from the rank sum of the positives (Mann–Whitney U), tied scores taking their mean
    rank.

    >>> auroc(np.array([0.1, 0.4, 0.8]), np.array([False, False, True]))
    1.0
    """
    positives = int(np.count_nonzero(labels))
    negatives = labels.size - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    above = mean_ranks[inverse][labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def ratio(numerators: Real[np.ndarray, "*N"], denominators: Real[np.ndarray, "*N"]) -> float:
    """Σ numerators / Σ denominators; NaN of nothing."""
    total = np.sum(denominators)
    return float(np.sum(numerators) / total) if total else float("nan")


def mean_and_std(values: Sequence[float]) -> tuple[float, float]:
    """The mean over seeds and the standard deviation (with denominator n − 1).

    NaN where there are too few: none for the mean, one for the deviation.

    >>> mean_and_std([1.0, 3.0])
    (2.0, 1.4142135623730951)
    """
    count = len(values)
    mean = float(np.mean(values)) if count else float("nan")
    return mean, float(np.std(values, ddof=1)) if count > 1 else float("nan")


def resampled_counts(
    items: int, *, seed: int, resamples: int = RESAMPLES
) -> Iterator[Int[np.ndarray, "R N"]]:
    """Bootstrap counts: how often each of N items is drawn, for `resamples` draws of N.

    They come a few resamples at a time: all at once would be gigabytes for a large pool.
    """
    rng = np.random.default_rng(seed)
    step = max(1, DRAWS_AT_ONCE // max(1, items))
    for start in range(0, resamples, step):
        rows = min(step, resamples - start)
        draws = rng.integers(items, size=(rows, items)) + items * np.arange(rows)[:, None]
        yield np.bincount(draws.ravel(), minlength=rows * items).reshape(rows, items)


class Interval(tuple):
    """(low, high), with the resamples between whose percentiles it lies.

    Resamples of two models on the same items draw the same items, so their differences are
    paired (`comparison`).
    """

    resamples: Float[np.ndarray, " R"]

    def __new__(cls, bounds: Sequence[float], resamples: Sequence[float] = ()) -> "Interval":
        interval = super().__new__(cls, bounds)
        interval.resamples = np.asarray(resamples, np.float64)
        return interval


UNKNOWN = Interval((math.nan, math.nan))
"""Where nothing can be said of the spread."""


def mean_interval(intervals: Sequence[Interval]) -> Interval:
    """The mean of the bounds and of the resamples; neither if a seed had too few items."""
    bounds = np.mean(intervals, axis=0).tolist()
    if len({len(own.resamples) for own in intervals}) > 1:
        return Interval(bounds)
    return Interval(bounds, np.mean([own.resamples for own in intervals], axis=0))


def percentile_interval(values: Sequence[float] | Float[np.ndarray, " R"]) -> Interval:
    """The central 95 % of a statistic's resamples.

    Those in which it is undefined (NaN) are left out; were they more than 5 %, nothing can be said
    of the tails and both ends are NaN.
    """
    values = np.asarray(values, np.float64)
    defined = values[~np.isnan(values)]
    if not defined.size or defined.size < COVERAGE * values.size:
        return Interval(UNKNOWN, values)
    tail = 50 * (1 - COVERAGE)
    return Interval(np.percentile(defined, (tail, 100 - tail)).tolist(), values)


def bootstrap_metric(
    metric: Callable[..., float],
    *arrays: Shaped[np.ndarray, "N ..."],
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The 95 % percentile interval of `metric(*arrays)`, resampling the rows together.

    It calls the metric once a resample. A metric that is made of sums over rows is cheaper with
    `bootstrap_of_sums`. NaN with fewer than two rows, from which nothing can be said about the
    spread.
    """
    items = len(arrays[0])
    if items < 2:
        return UNKNOWN
    rows = np.arange(items)

    def of_rows(positions):
        return metric(*(array[positions] for array in arrays))

    drawn = (
        np.repeat(rows, counts)
        for part in resampled_counts(items, seed=seed, resamples=resamples)
        for counts in part
    )
    return percentile_interval(list(map(of_rows, drawn)))


def bootstrap_of_sums(
    statistic: Callable[[Float[np.ndarray, "R K"]], Float[np.ndarray, " R"]],
    rows: Float[np.ndarray, "N K"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The 95 % percentile interval of a statistic of K sums over rows, resampling the N rows.

    The statistic is called with the sums of many resamples at once. NaN with fewer than two
    rows.
    """
    if len(rows) < 2:
        return UNKNOWN
    with np.errstate(invalid="ignore", divide="ignore"):
        drawn = resampled_counts(len(rows), seed=seed, resamples=resamples)
        return percentile_interval(
            np.concatenate([statistic(counts.astype(np.float64) @ rows) for counts in drawn])
        )


def bootstrap_interval(
    numerators: Real[np.ndarray, " N"] | Bool[np.ndarray, " N"],
    denominators: Real[np.ndarray, " N"] | None = None,
    *,
    seed: int = 0,
) -> Interval:
    """The 95 % percentile interval of Σ numerators / Σ denominators, resampling the N items.

    Without denominators it is the interval of the mean. For a paired comparison give the paired
    differences. NaN with fewer than two items, from which nothing can be said about the spread.
    """
    numerators = np.asarray(numerators, np.float64)
    denominators = (
        np.ones_like(numerators) if denominators is None else np.asarray(denominators, np.float64)
    )
    return bootstrap_of_sums(
        lambda sums: sums[:, 0] / sums[:, 1],
        np.stack([numerators, denominators], axis=1),
        seed=seed,
    )
