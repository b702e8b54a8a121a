"""A metric by sequence identity to the training set: DeepFRI's cut-offs."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from eval.data.base.task import IDENTITY_CUTOFFS


class CutoffPoint(NamedTuple):
    """The metric of the test rows whose identity to training is at most `cutoff`."""

    cutoff: float
    rows: int
    value: float


def by_identity(
    metric: Callable[..., float],
    identities: Float[np.ndarray, " N"],
    *arrays: Shaped[np.ndarray, "N ..."],
) -> list[CutoffPoint]:
    """`metric(*arrays)` on the rows at or below each of `IDENTITY_CUTOFFS`, ascending.

    Args:
      identities: the smallest cut-off that bounds a row's identity (`Sample.identity`); NaN if
      unknown, which excludes the row.

    Returns:
      one point per cut-off, NaN without rows.
    """
    points = []
    for cutoff in IDENTITY_CUTOFFS:
        rows = np.asarray(identities, np.float64) <= cutoff
        value = metric(*(array[rows] for array in arrays)) if rows.any() else float("nan")
        points.append(CutoffPoint(cutoff, int(rows.sum()), value))
    return points
