"""Statistics shared by the evaluations: area under the ROC curve and bootstrap intervals."""

import numpy as np
from jaxtyping import Bool, Float

RESAMPLES = 2000
COVERAGE = 0.95
DRAWS_AT_ONCE = 2**20


def auroc(scores: Float[np.ndarray, " N"], labels: Bool[np.ndarray, " N"]) -> float:
    """The probability that a positive scores above a negative, ties counting half; NaN if either class is empty.

    Computed from the rank sum of the positives (Mann–Whitney U), tied scores taking their mean rank.
    """
    positives = int(np.count_nonzero(labels))
    negatives = labels.size - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2
    above = mean_ranks[inverse][labels].sum() - positives * (positives + 1) / 2
    return float(above / (positives * negatives))


def ratio(numerators: Float[np.ndarray, " N"], denominators: Float[np.ndarray, " N"]) -> float:
    """Σ numerators / Σ denominators; NaN of nothing."""
    total = np.sum(denominators)
    return float(np.sum(numerators) / total) if total else float("nan")


def bootstrap_interval(
    numerators: Float[np.ndarray, " N"], denominators: Float[np.ndarray, " N"] | None = None, *, seed: int = 0
) -> tuple[float, float]:
    """The 95 % percentile interval of Σ numerators / Σ denominators when the N items are drawn anew with replacement.

    Without denominators it is the interval of the mean. For a paired comparison give the paired differences. NaN with
    fewer than two items, from which nothing can be said about the spread.
    """
    numerators = np.asarray(numerators, np.float64)
    denominators = np.ones_like(numerators) if denominators is None else np.asarray(denominators, np.float64)
    if numerators.size < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    values = np.empty(RESAMPLES)
    # A few resamples at a time: all at once would be gigabytes for a large pool.
    rows = max(1, DRAWS_AT_ONCE // numerators.size)
    for start in range(0, RESAMPLES, rows):
        part = values[start : start + rows]
        draws = rng.integers(numerators.size, size=(part.size, numerators.size))
        part[:] = numerators[draws].sum(1) / denominators[draws].sum(1)
    tail = 50 * (1 - COVERAGE)
    low, high = np.percentile(values, (tail, 100 - tail))
    return float(low), float(high)
