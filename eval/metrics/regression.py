"""Regression metrics: Spearman, Pearson, mean absolute error, root mean square error."""

import math
from collections.abc import Callable

import numpy as np
from jaxtyping import Int, Real
from scipy.special import stdtr

from eval.metrics.statistics import (
    RESAMPLES,
    UNKNOWN,
    Interval,
    percentile_interval,
    resampled_counts,
)


def spearman(predictions: Real[np.ndarray, " N"], targets: Real[np.ndarray, " N"]) -> float:
    """Pearson correlation of the ranks, ties sharing their mean rank.

    NaN if either is constant or not finite.

    >>> round(spearman(np.array([1.0, 2.0, 9.0]), np.array([10.0, 20.0, 30.0])), 6)
    1.0
    """
    return spearman_of_counts(predictions, targets)(np.ones(len(targets), int))


def spearman_of_counts(
    predictions: Real[np.ndarray, " N"], targets: Real[np.ndarray, " N"]
) -> Callable[[Int[np.ndarray, " N"]], float]:
    """Builds a function from row counts to the Spearman correlation of the repeated rows.

    It sorts once, here, so that many resamples are cheap.
    """
    both = np.asarray(predictions, np.float64), np.asarray(targets, np.float64)
    if any(np.isnan(values).any() for values in both):
        return lambda counts: float("nan")
    groups = [np.unique(values, return_inverse=True)[1] for values in both]

    def correlation(counts: Int[np.ndarray, " N"]) -> float:
        if not counts.any():
            return float("nan")
        centred, variances = [], []
        for group in groups:
            sizes = np.bincount(group, counts)
            # The mean rank of a group of equal values, less the mean of all ranks.
            ranks = np.cumsum(sizes) - sizes / 2 - sizes.sum() / 2
            centred.append(ranks[group])
            variances.append(sizes @ ranks**2)
        # One root of the product, which is exact where both have the same ranks.
        scale = math.sqrt(variances[0] * variances[1])
        return (
            float(np.clip((counts * centred[0]) @ centred[1] / scale, -1, 1))
            if scale
            else float("nan")
        )

    return correlation


def spearman_interval(
    predictions: Real[np.ndarray, " N"],
    targets: Real[np.ndarray, " N"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The 95 % percentile interval of `spearman`, resampling rows; NaN with fewer than two."""
    if len(targets) < 2:
        return UNKNOWN
    correlation = spearman_of_counts(predictions, targets)
    drawn = resampled_counts(len(targets), seed=seed, resamples=resamples)
    return percentile_interval([correlation(counts) for part in drawn for counts in part])


def correlation_p_value(correlation: float, rows: int) -> float:
    """The two-sided p-value of a correlation of N independent rows: t with N − 2 degrees.

    For Pearson or Spearman.

    t = r·√((N − 2) / (1 − r²)), as SciPy's `spearmanr` has it; NaN with fewer than three rows.
    """
    if rows < 3 or math.isnan(correlation):
        return float("nan")
    if abs(correlation) == 1:
        return 0.0
    t = abs(correlation) * math.sqrt((rows - 2) / ((1 - correlation) * (1 + correlation)))
    return float(2 * stdtr(rows - 2, -t))


def pearson(predictions: Real[np.ndarray, " N"], targets: Real[np.ndarray, " N"]) -> float:
    """Cov(x, y) / √(Var(x)·Var(y)); NaN if either is constant or not finite.

    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([6.0, 4.0, 2.0])), 6)
    -1.0
    """
    centred = []
    for values in (np.asarray(predictions, np.float64), np.asarray(targets, np.float64)):
        if not np.isfinite(values).all() or not values.size or values.min() == values.max():
            return float("nan")
        # Scaled before it is squared, which could overflow.
        difference = values / np.abs(values).max()
        difference -= difference.mean()
        centred.append(difference / np.linalg.norm(difference))
    return float(np.clip(centred[0] @ centred[1], -1, 1))


def mae(predictions: Real[np.ndarray, " N"], targets: Real[np.ndarray, " N"]) -> float:
    """The mean absolute difference, in the targets' unit; NaN without rows.

    >>> mae(np.array([1.0, 2.0]), np.array([2.0, 4.0]))
    1.5
    """
    return (
        float(np.mean(np.abs(_differences(predictions, targets)))) if len(targets) else float("nan")
    )


def rmse(predictions: Real[np.ndarray, " N"], targets: Real[np.ndarray, " N"]) -> float:
    """The root of the mean squared difference, in the targets' unit; NaN without rows.

    >>> rmse(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    1.0
    """
    return (
        math.sqrt(np.mean(_differences(predictions, targets) ** 2))
        if len(targets)
        else float("nan")
    )


def _differences(predictions, targets):
    return np.asarray(predictions, np.float64) - np.asarray(targets, np.float64)
