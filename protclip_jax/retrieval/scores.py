"""What a similarity means: how far it stands out from the similarities of the same query with a fixed background."""

import heapq
from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Float32, Int64

BACKGROUND_ITEMS = 4096
DEFINITION = (
    "z = (cosine - mean) / sd, where mean and standard deviation are those of the query's cosines with the background: the "
    f"{BACKGROUND_ITEMS:,} items of the index whose ids have the lowest hashes (all items of a smaller index), a fixed random "
    "sample that is stored in it. z says how far a hit stands out for this query; it is no probability, and a large z of "
    "a poor model means little"
)
"""For help texts."""
_SMALLEST_SD = 1e-6


def background_rows(hashes: Iterable[int]) -> Int64[np.ndarray, " b"]:
    """The rows of the lowest id hashes, in their order: the same items however an index was put together."""
    lowest = heapq.nsmallest(BACKGROUND_ITEMS, ((value, row) for row, value in enumerate(hashes)))
    return np.sort(np.array([row for _, row in lowest], np.int64))


def background_statistics(
    queries: Float32[np.ndarray, "q d"], background: Float32[np.ndarray, "b d"]
) -> tuple[Float[np.ndarray, " q"], Float[np.ndarray, " q"]]:
    """Mean and standard deviation of each query's cosines with the background, float64."""
    # Query by query: a product of matrices wakes BLAS' threads, which takes longer than this where JAX keeps the cores busy.
    cosines = np.array([background @ query for query in queries], np.float64).reshape(len(queries), len(background))
    return cosines.mean(1), np.maximum(cosines.std(1), _SMALLEST_SD)
