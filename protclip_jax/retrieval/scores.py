"""What a similarity is measured against: a fixed sample of the index, and shuffled proteins that nothing should find."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

BACKGROUND_ITEMS = 4096
DECOYS = 2048
"""Shuffled proteins of an index at most."""
DEFINITION = (
    "confidence = the share of hits with such a cosine and margin that agreed with held-out questions in the trait beside it, "
    "as `python -m eval --calibrate` measured it; low is the lower end of its 95 % interval, and base_rate the share of "
    "random items that agree. margin = how far a cosine lies above the mean of the question's cosines with a random sample "
    "of the index. q (where the checkpoint was not calibrated) = the least share of shuffled proteins in a list of hits that "
    "is cut at this one or below"
)
"""For help texts."""
UNCALIBRATED = (
    "How sure these hits are is not known: cosines alone do not say it. Measure it with `python -m eval --calibrate`."
)


def background_rows(hashes: Iterable[int]) -> Int64[np.ndarray, " b"]:
    """The rows of the lowest id hashes, in their order: the same items however an index was put together."""
    lowest = heapq.nsmallest(BACKGROUND_ITEMS, ((value, row) for row, value in enumerate(hashes)))
    return np.sort(np.array([row for _, row in lowest], np.int64))


def cosines_with(queries: Float32[np.ndarray, "q d"], vectors: Float32[np.ndarray, "b d"]) -> Float[np.ndarray, "q b"]:
    """The cosines of unit-norm queries with unit-norm vectors, float64."""
    # Query by query: a product of matrices wakes BLAS' threads, which takes longer than this where JAX keeps the cores busy.
    return np.array([vectors @ query for query in queries], np.float64).reshape(len(queries), len(vectors))


def shuffled(sequences: Sequence[str], *, seed: int = 0) -> list[str]:
    """Each sequence with its residues in a random order: its composition and length without its protein."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.permutation(list(sequence))) for sequence in sequences]


def q_values(
    hits: Float[np.ndarray, " k"],
    background: Float[np.ndarray, " b"],
    decoys: Float[np.ndarray, " d"],
    *,
    items: int,
) -> Float[np.ndarray, " k"]:
    """The target-decoy q-value of each hit of a question (Käll et al. 2008), from the question's cosines.

    At a threshold t the false discovery rate is the share of decoys at or above it over the share of items there; one more
    decoy is counted than there are, so that few decoys never give 0. The q-value is the least rate of all t up to the hit.

    Args:
      hits: the best k of all items, the best first.
      background: of a random sample of the items, which tells the share of items below the last hit.
      decoys: of shuffled proteins.
      items: of the index.
    """
    thresholds = np.sort(np.concatenate([hits, background]))
    reached = np.maximum(_at_least(hits, thresholds) / items, _at_least(background, thresholds) / len(background))
    false = (_at_least(decoys, thresholds) + 1) / (len(decoys) + 1)
    rates = np.minimum.accumulate(np.minimum(1.0, false / reached))
    return rates[np.searchsorted(thresholds, hits, side="right") - 1]


def _at_least(values: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """How many values reach each threshold."""
    return len(values) - np.searchsorted(np.sort(values), thresholds, side="left")
