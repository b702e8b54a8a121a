"""Vectors as embeddings lie: in clusters, on few dimensions of many.

Random vectors without structure are all equally far from each other, which says nothing about a
search among real ones.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float32

SPREAD = 0.35
"""Of a cluster about its centre, over that of the centres: neighbours are mostly, not only, of
the same cluster."""
ROWS_AT_ONCE = 1 << 14


def clustered_blocks(
    count: int, *, width: int, centres: int, intrinsic: int, seed: int = 0
) -> Iterator[Float32[np.ndarray, "m d"]]:
    """Unit-norm vectors in clusters within a random subspace of `intrinsic` dimensions of a
    space of `width`, in blocks."""
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(width, intrinsic)))[0].T.astype(np.float32)
    middles = rng.normal(size=(centres, intrinsic)).astype(np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        size = min(ROWS_AT_ONCE, count - start)
        away = SPREAD * rng.standard_normal((size, intrinsic), np.float32)
        vectors = (middles[rng.integers(centres, size=size)] + away) @ plane
        yield vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def clustered_vectors(count: int, **shape: int) -> Float32[np.ndarray, "n d"]:
    """All blocks of `clustered_blocks`."""
    return np.concatenate(list(clustered_blocks(count, **shape)))
