"""The interval and the p of a number from one seed, over draws of clusters."""

import numpy as np
from jaxtyping import Float

from benchmarks.evidence.intervals import LEVEL, Estimate, centred


def over_clusters(value: float, replicates: Float[np.ndarray, " D"]) -> Estimate:
    """The number with its interval over clusters, centred on it, and a two-sided p.

    Draws without a value (NaN) are left out; p is bounded below by the number of draws.
    """
    known = centred(value, replicates[np.isfinite(replicates)])
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(known, [tail, 1 - tail])
    fewer = min(np.count_nonzero(known <= 0), np.count_nonzero(known >= 0))
    p = min(1.0, 2 * (fewer + 1) / (len(known) + 1))
    return Estimate(value, (float(low), float(high)), p, (value,))
