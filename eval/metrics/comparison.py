"""Compares two models on the same items: paired p-values and Holm's correction."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float


def paired_p_value(
    difference: float, first: Float[np.ndarray, " _"], second: Float[np.ndarray, " _"]
) -> float:
    """The two-sided p-value of two models' difference under the hypothesis of no difference.

    The difference over its standard error is taken as normal; the standard error is the standard
    deviation of the resamples' differences. Percentiles of R resamples cannot resolve p-values
    below 2 / (R + 1), which corrections for many comparisons need.

    Args:
      difference: the first model's number minus the second's.
      first, second: `Interval.resamples` of the two, drawn from the same items.

    Returns:
      1 if the resamples never differ and neither do the numbers; NaN with fewer than two resamples.

    Raises:
      ValueError: the numbers of resamples differ, so they are not of the same draws.
    """
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} resamples are not of the same draws")
    differences = first - second
    differences = differences[np.isfinite(differences)]
    if len(differences) < 2 or not math.isfinite(difference):
        return math.nan
    error = float(np.std(differences, ddof=1))
    if not error:
        return 1.0 if not difference else 0.0
    return math.erfc(abs(difference) / error / math.sqrt(2))


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values, which control the family-wise error rate.

    In ascending order the i-th of m is multiplied by m − i + 1, and none is below the one before
    (Holm 1979). NaN, where there was no comparison, stays NaN and does not count.

    >>> holm([0.01, 0.04, 0.02])
    [0.03, 0.04, 0.04]
    """
    adjusted = np.array(p_values, np.float64)
    compared = np.flatnonzero(~np.isnan(adjusted))
    order = compared[np.argsort(adjusted[compared], kind="stable")]
    factors = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(adjusted[order] * factors))
    return adjusted.tolist()
