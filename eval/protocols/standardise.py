"""Standardises features for a head or a graph network, so that encoders' scales do not matter."""

import numpy as np
from jaxtyping import Float, Float32

from data_pipelines.common.errors import UserError


def mean_and_spread(
    vectors: Float[np.ndarray, "n D"],
) -> tuple[Float[np.ndarray, " D"], Float[np.ndarray, " D"]]:
    """Mean and standard deviation of each column over the rows, float64.

    The spread of a constant column is infinite.

    Raises:
      UserError: a number is not finite.
    """
    if not np.isfinite(vectors).all():
        raise UserError("an embedding is not finite; load the checkpoint with dtype float32.")
    mean, spread = (statistic(vectors, axis=0, dtype=np.float64) for statistic in (np.mean, np.std))
    return mean, np.where(spread < 1e-6 * np.maximum(1.0, np.abs(mean)), np.inf, spread)


def standardise(vectors: Float[np.ndarray, "n D"]) -> Float32[np.ndarray, "n D"]:
    """Scales columns to mean 0 and standard deviation 1 over the rows; constant columns become 0.

    Raises:
      UserError: a number is not finite.
    """
    mean, spread = mean_and_spread(vectors)
    return ((vectors - mean) / spread).astype(np.float32)
