"""Ranking metrics: mean reciprocal rank and hits at k, in expectation over ties.

With b wrong candidates above a hit and t tied with it (scores within `TIE`), the hit's rank is b +
1 … b + t + 1, each as likely: a model that scores everything alike scores exactly chance.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Real

TIE = 1e-6
"""Scores of order 1, such as cosines, count as tied within this distance."""


def best_hit(
    scores: Real[np.ndarray, "N M"], hits: Bool[np.ndarray, "N M"]
) -> tuple[Int[np.ndarray, " N"], Int[np.ndarray, " N"]]:
    """How many wrong candidates score above each query's best hit, and how many tie with it.

    A score that is not a number ranks below all others, so it wins nothing.

    Raises:
      ValueError: a query has no hit.
    """
    _check_hits(hits)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    best = np.where(hits, scores, -np.inf).max(1, keepdims=True)
    above = ~hits & (scores > best + TIE)
    tied = ~hits & (scores >= best - TIE) & ~above
    return above.sum(1), tied.sum(1)


def every_hit(
    scores: Real[np.ndarray, "N M"], hits: Bool[np.ndarray, "N M"]
) -> tuple[Int[np.ndarray, " H"], Int[np.ndarray, " H"]]:
    """`best_hit` for each hit separately: a query's other hits are not competitors.

    Knowledge-graph completion calls this the filtered setting.

    Raises:
      ValueError: a query has no hit.
    """
    _check_hits(hits)
    scores = np.where(np.isnan(scores), -np.inf, scores)
    above, tied = [], []
    for row, hit in zip(scores, hits, strict=True):
        wrong = np.sort(row[~hit])
        higher = wrong.size - np.searchsorted(wrong, row[hit] + TIE, side="right")
        above.append(higher)
        tied.append(wrong.size - np.searchsorted(wrong, row[hit] - TIE, side="left") - higher)
    return np.concatenate(above), np.concatenate(tied)


def recall(
    above: Int[np.ndarray, " N"], tied: Int[np.ndarray, " N"], k: int
) -> Float[np.ndarray, " N"]:
    """The probability that the hit is among the first k.

    (k − above) / (tied + 1), clipped to [0, 1].

    >>> recall(np.array([0, 3]), np.array([1, 0]), k=1).tolist()
    [0.5, 0.0]
    """
    return np.clip((k - above) / (tied + 1), 0, 1)


def reciprocal_rank(
    above: Int[np.ndarray, " N"], tied: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " N"]:
    """The mean of 1/rank over the ranks above + 1 … above + tied + 1.

    A difference of harmonic numbers divided by their count.

    >>> reciprocal_rank(np.array([0, 3]), np.array([0, 0])).round(6).tolist()
    [1.0, 0.25]
    """
    harmonic = np.concatenate(
        [[0.0], np.cumsum(1 / np.arange(1, (above + tied).max(initial=0) + 2))]
    )
    return (harmonic[above + tied + 1] - harmonic[above]) / (tied + 1)


def hits_at(above: Int[np.ndarray, " N"], tied: Int[np.ndarray, " N"], k: int) -> float:
    """Hits@k: the mean of `recall`; NaN without hits.

    >>> hits_at(np.array([0, 3]), np.array([0, 0]), k=1)
    0.5
    """
    return float(np.mean(recall(above, tied, k))) if len(above) else float("nan")


def mean_reciprocal_rank(above: Int[np.ndarray, " N"], tied: Int[np.ndarray, " N"]) -> float:
    """MRR: the mean of `reciprocal_rank`; NaN without hits.

    >>> round(mean_reciprocal_rank(np.array([0, 3]), np.array([0, 0])), 6)
    0.625
    """
    return float(np.mean(reciprocal_rank(above, tied))) if len(above) else float("nan")


def _check_hits(hits: Bool[np.ndarray, "N M"]) -> None:
    missing = np.count_nonzero(~np.asarray(hits).any(1))
    if missing:
        raise ValueError(
            f"{missing} of {len(hits)} queries have no hit among the candidates, so they "
            "have no rank"
        )
