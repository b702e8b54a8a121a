"""Vectors distributed like embeddings: in clusters, on a few of many dimensions.

Random vectors without structure are all equally far apart, so they say nothing about a search among
real embeddings.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

SPREAD = 0.35
"""Ratio of the spread within clusters to that of the centres.

At this value, most but not all neighbours are in the same cluster.
"""
ROWS_AT_ONCE = 1 << 14


def clustered_blocks(
    count: int, *, width: int, centres: int, intrinsic: int, seed: int = 0
) -> Iterator[Float32[np.ndarray, "m d"]]:
    """Yields blocks of clustered unit-norm vectors, width `width`, in a random subspace.

    The subspace has `intrinsic` dimensions.
    """
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(width, intrinsic)))[0].T.astype(np.float32)
    middles = rng.normal(size=(centres, intrinsic)).astype(np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        size = min(ROWS_AT_ONCE, count - start)
        away = SPREAD * rng.standard_normal((size, intrinsic), np.float32)
        vectors = (middles[rng.integers(centres, size=size)] + away) @ plane
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered_vectors(count: int, **shape: int) -> Float32[np.ndarray, "n d"]:
    """Concatenates all blocks of `clustered_blocks`."""
    return np.concatenate(list(clustered_blocks(count, **shape)))
