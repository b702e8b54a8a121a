"""Vectors as embeddings lie: in clusters, on few dimensions of many.

Random vectors without structure are all equally far from each other, which says nothing about a search among real ones.
"""

import numpy as np
from jaxtyping import Float32

SPREAD = 0.35
"""Of a cluster about its centre, over that of the centres: neighbours are mostly, not only, of the same cluster."""
ROWS_AT_ONCE = 1 << 16


def clustered_vectors(count: int, *, width: int, centres: int, intrinsic: int, seed: int = 0) -> Float32[np.ndarray, "n d"]:
    """Unit-norm vectors in clusters within a random subspace of `intrinsic` dimensions of a space of `width`."""
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(width, intrinsic)))[0].T.astype(np.float32)
    middles = rng.normal(size=(centres, intrinsic)).astype(np.float32)
    vectors = np.empty((count, width), np.float32)
    for start in range(0, count, ROWS_AT_ONCE):
        size = min(ROWS_AT_ONCE, count - start)
        away = SPREAD * rng.standard_normal((size, intrinsic), np.float32)
        vectors[start : start + size] = (middles[rng.integers(centres, size=size)] + away) @ plane
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors
