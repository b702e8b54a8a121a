"""What a similarity is measured against: a fixed sample of the index, and shuffled proteins that
nothing should find."""

import heapq
from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float, Float32, Int64

BACKGROUND_ITEMS = 4096
DECOYS = 2048
"""Shuffled proteins of an index at most."""
LEAST_TAIL = 20
"""Decoys at least that tell how the share of decoys falls with the cosine."""
SMALLEST_EXCESS = 1e-6
"""Of cosines: where the highest decoys are all alike."""
DEFINITION = (
    "confidence = the share of hits with such a cosine and margin that agreed with held-out "
    "questions in the trait beside it, "
    "as `python -m eval --calibrate` measured it; low is the lower end of its 95 % interval, "
    "and base_rate the share of "
    "random items that agree. margin = how far a cosine lies above the mean of the "
    "question's cosines with a random sample "
    "of the index. q (where nothing was measured) = the least share of shuffled proteins to "
    "expect in a list of hits that is "
    "cut at this one or below"
)
"""For help texts."""
UNCALIBRATED = (
    "How sure these hits are is not known: cosines alone do not say it. Measure it with `python "
    "-m eval --calibrate`."
)
NOT_MEASURED = (
    "How sure these hits are is not known: the checkpoint's calibration measured no such questions."
)


def background_rows(hashes: Iterable[int]) -> Int64[np.ndarray, " b"]:
    """The rows of the lowest id hashes, in their order: the same items however an index was put
    together."""
    lowest = heapq.nsmallest(BACKGROUND_ITEMS, ((value, row) for row, value in enumerate(hashes)))
    return np.sort(np.array([row for _, row in lowest], np.int64))


def cosines_with(
    queries: Float32[np.ndarray, "q d"], vectors: Float32[np.ndarray, "b d"]
) -> Float[np.ndarray, "q b"]:
    """The cosines of unit-norm queries with unit-norm vectors, float64."""
    # Query by query: a product of matrices wakes BLAS' threads, which takes longer than this where
    # JAX keeps the cores busy.
    return np.array([vectors @ query for query in queries], np.float64).reshape(
        len(queries), len(vectors)
    )


def shuffled(sequences: Sequence[str], *, seed: int = 0) -> list[str]:
    """Each sequence with its residues in a random order: its composition and length without its
    protein."""
    rng = np.random.default_rng(seed)
    return ["".join(rng.permutation(list(sequence))) for sequence in sequences]


def q_values(
    hits: Float[np.ndarray, " k"], decoys: Float[np.ndarray, " d"], *, items: int
) -> Float[np.ndarray, " k"]:
    """The q-value of each hit of a question, from the question's cosines: decoys that are expected
    among the items over hits.

    A list that is cut at the j-th hit holds `items` · p(cosine of the j-th) false hits, where p is
    the share of decoys at or above a cosine (`tail_shares`). The rate is that over j, and the
    q-value the least rate of all cuts at the hit or below (Benjamini and Hochberg 1995). Where no
    item is nearer than decoys, the best hit has q <= a with probability a.

    Args:
      hits: the best k of the items, the best first.
      decoys: of shuffled proteins.
      items: that could be found.
    """
    rates = items * tail_shares(decoys, hits) / np.arange(1, len(hits) + 1)
    return np.minimum(1.0, np.minimum.accumulate(rates[::-1])[::-1])


def tail_shares(
    decoys: Float[np.ndarray, " d"], cosines: Float[np.ndarray, " k"]
) -> Float[np.ndarray, " k"]:
    """The share of decoys at or above each cosine.

    It is counted up to the highest tenth of the decoys, with one more decoy than there are, so that
    it is never 0. Beyond, it falls exponentially with the mean excess of that tenth: so few
    decoys cannot be counted at the best of many items.
    """
    ranked = np.sort(decoys)[::-1]
    tail = min(len(ranked) - 1, max(LEAST_TAIL, len(ranked) // 10))
    start = ranked[tail]
    reached = len(ranked) - np.searchsorted(ranked[::-1], np.minimum(cosines, start), side="left")
    excess = max(float((ranked[:tail] - start).mean()), SMALLEST_EXCESS) if tail else np.inf
    return (reached + 1) / (len(ranked) + 1) * np.exp(-np.maximum(0.0, cosines - start) / excess)
