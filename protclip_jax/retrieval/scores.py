"""References for similarities: a fixed sample of the index, and decoys (shuffled proteins)."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

BACKGROUND_ITEMS = 4096
DECOYS = 2048
"""Maximum number of shuffled proteins of an index."""
LEAST_TAIL = 20
"""Minimum number of decoys for estimating how their share decreases with the cosine."""
SMALLEST_EXCESS = 1e-6
"""Minimum mean excess of the highest decoys, in cosine, in case they are all equal."""
DEFINITION = (
    "confidence = the share of hits with a similar cosine and margin that agreed with their "
    "held-out query in the given trait, as measured by `python -m eval --calibrate`; low is the "
    "lower end of its 95 % interval, and base_rate the share of random items that agree. "
    "margin = the cosine minus the query's mean cosine with a random sample of the index. "
    "q (if confidence was not measured) = the smallest share of shuffled proteins to expect in a "
    "list of hits that is cut off at this hit or below it"
)
"""Definitions for help texts."""
UNCALIBRATED = (
    "The confidence of these hits is unknown, because cosines alone do not measure it. Before "
    "making an index, measure it with `python -m eval --checkpoint DIR --calibrate`."
)
NOT_MEASURED = (
    "The confidence of these hits is unknown, because the checkpoint's calibration does not cover "
    "such queries."
)


def background_rows(hashes: Iterable[int]) -> Int64[np.ndarray, " b"]:
    """The rows with the lowest id hashes, ascending.

    The sample does not depend on the order in which items were added.
    """
    lowest = heapq.nsmallest(BACKGROUND_ITEMS, ((value, row) for row, value in enumerate(hashes)))
    return np.sort(np.array([row for _, row in lowest], np.int64))


def cosines_with(
    queries: Float32[np.ndarray, "q d"], vectors: Float32[np.ndarray, "b d"]
) -> Float[np.ndarray, "q b"]:
    """Computes cosines of unit-norm queries with unit-norm vectors; returns float64."""
    # One query at a time: a matrix product would wake BLAS threads, which is slower while JAX keeps
    # the cores busy.
    return np.array([vectors @ query for query in queries], np.float64).reshape(
        len(queries), len(vectors)
    )


def shuffled(sequences: Sequence[str], *, seed: int = 0) -> list[str]:
    """Shuffles the residues of each sequence, which preserves its length and composition."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.permutation(list(sequence))) for sequence in sequences]


def q_values(
    hits: Float[np.ndarray, " k"], decoys: Float[np.ndarray, " d"], *, items: int
) -> Float[np.ndarray, " k"]:
    """Computes the q-value of each hit of a query from the cosines of hits and decoys.

    A list cut at the j-th hit has an expected `items` · p(cosine of the j-th hit) false hits, where
    p is the share of decoys at or above a cosine (`tail_shares`). The false discovery rate is that
    number divided by j; the q-value is the minimum rate over all cuts at the hit or below it
    (Benjamini and Hochberg 1995). If no item is nearer than decoys are, the best hit has q <= a
    with probability a.

    Args:
      hits: cosines of the k best items, in descending order.
      decoys: cosines of the decoys.
      items: number of items searched.
    """
    rates = items * tail_shares(decoys, hits) / np.arange(1, len(hits) + 1)
    return np.minimum(1.0, np.minimum.accumulate(rates[::-1])[::-1])


def tail_shares(
    decoys: Float[np.ndarray, " d"], cosines: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """Estimates the share of decoys at or above each cosine.

    Below the highest tenth of the decoys, the share is counted, with one pseudo-count so that it is
    never 0. Within that tenth and above it, the share decreases exponentially, with the tenth's
    mean excess as the scale, because there are too few decoys to count at the best of many items.
    """
    ranked = np.sort(decoys)[::-1]
    tail = min(len(ranked) - 1, max(LEAST_TAIL, len(ranked) // 10))
    start = ranked[tail]
    reached = len(ranked) - np.searchsorted(ranked[::-1], np.minimum(cosines, start), side="left")
    excess = max(float((ranked[:tail] - start).mean()), SMALLEST_EXCESS) if tail else np.inf
    return (reached + 1) / (len(ranked) + 1) * np.exp(-np.maximum(0.0, cosines - start) / excess)
