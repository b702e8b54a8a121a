"""Resamples of pairs of proteins: proteins are drawn, not pairs, since pairs share proteins."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Int, Real

from eval.metrics.statistics import (
    RESAMPLES,
    UNKNOWN,
    Interval,
    percentile_interval,
    resampled_counts,
)


def resampled_pair_counts(
    pairs: Int[np.ndarray, "P 2"], *, seed: int, resamples: int = RESAMPLES
) -> Iterator[Int[np.ndarray, "R P"]]:
    """How often each pair counts when proteins are resampled, a few resamples at a time.

    A pair counts the product of how often its two proteins come up; a protein drawn twice is not
    paired with itself. This is Owen's pigeonhole bootstrap (2007, doi:10.1214/07-AOAS122): it
    covers what proteins cause, and counts the noise of single pairs up to three times, so
    intervals are rather too wide than too narrow. Nothing comes of fewer than two proteins.
    """
    proteins, positions = np.unique(pairs, return_inverse=True)
    if len(proteins) < 2:
        return
    first, second = positions.reshape(-1, 2).T
    for counts in resampled_counts(len(proteins), seed=seed, resamples=resamples):
        yield counts[:, first] * counts[:, second]


def pair_bootstrap_interval(
    pairs: Int[np.ndarray, "P 2"],
    numerators: Real[np.ndarray, " P"] | Bool[np.ndarray, " P"],
    denominators: Real[np.ndarray, " P"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """The 95 % percentile interval of Σ numerators / Σ denominators, resampling proteins.

    NaN with fewer than two proteins.
    """
    rows = np.stack([numerators, denominators], axis=1).astype(np.float64)
    values = [np.zeros(0)]
    with np.errstate(invalid="ignore", divide="ignore"):
        for counts in resampled_pair_counts(pairs, seed=seed, resamples=resamples):
            sums = counts.astype(np.float64) @ rows
            values.append(sums[:, 0] / sums[:, 1])
    drawn = np.concatenate(values)
    return percentile_interval(drawn) if drawn.size else UNKNOWN
