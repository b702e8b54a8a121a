"""Multi-label metrics from scores: micro AUPR and protein-centric Fmax, with intervals.

Both look at a threshold t at all predictions with score ≥ t, so tied scores are predicted together
or not at all. A threshold that lets in no further true label lowers the precision and leaves the
recall, so only the distinct scores of true labels need be looked at: neither metric sorts more
than that.
"""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from eval.metrics.statistics import RESAMPLES, UNKNOWN, Interval, bootstrap_of_sums

SCORES_AT_ONCE = 2**22
GRID = 256


def average_precision(
    scores: Real[np.ndarray, "*shape"], labels: Bool[np.ndarray, "*shape"]
) -> float:
    """Micro AUPR as average precision over all scores: Σ (R_n − R_{n−1})·P_n.

    The sum is over the distinct thresholds.

    Equal to scikit-learn's `average_precision_score(average="micro")`. TorchDrug's `auprc`, which
    the papers report, breaks ties in the order of its sort instead; without ties it is the same.
    NaN without a true label (scikit-learn returns 0) or if a score is NaN.

    >>> average_precision(np.array([[0.9, 0.1]]), np.array([[True, False]]))
    1.0
    """
    scores, labels = np.ravel(scores), np.ravel(np.asarray(labels, bool))
    if not labels.any() or np.isnan(scores).any():
        return float("nan")
    thresholds, found = np.unique(scores[labels], return_counts=True)
    predicted = scores.size - np.searchsorted(np.sort(scores), thresholds)
    true = np.cumsum(found[::-1])[::-1]
    return float(np.sum(found * (true / predicted)) / found.sum())


def fmax(scores: Real[np.ndarray, "N C"], labels: Bool[np.ndarray, "N C"]) -> float:
    """Protein-centric Fmax: the largest over thresholds t of F(t) = 2·P(t)·R(t) / (P(t) + R(t)),
    where

      P(t) = mean over the proteins with a prediction at t of |predicted ∩ true| / |predicted|
      R(t) = mean over the proteins with a true label of |predicted ∩ true| / |true|

    (CAFA, Radivojac et al. 2013, https://doi.org/10.1038/nmeth.2340.) CAFA looks at t = 0.01, 0.02,
    …; here t runs over all scores, as in TorchDrug's `f1_max`, with which ProtST and ProtCLIP
    report Fmax. That function agrees with this one but in two cases: it also cuts between tied
    scores, in the order of its sort, which no threshold can; and its recall is a mean over all
    proteins, those without a true label counting 0. Every chain of DeepFRI's EC and GO test sets
    has a label of each kind, so there the second makes no difference; a protein without one counts
    here only in P, 0 wherever it has a prediction.

    NaN without a true label or if a score is NaN.

    >>> fmax(np.array([[0.9, 0.1]]), np.array([[True, False]]))
    1.0
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    labelled = labels.sum(1)
    if not labels.any() or np.isnan(scores).any():
        return float("nan")
    thresholds = np.unique(scores[labels])
    precision, recall, covered = np.zeros((3, len(thresholds) + 1))
    ranks = np.arange(1, scores.shape[1] + 1)
    for rows in _chunks(scores):
        order = np.argsort(scores[rows], axis=1)[:, ::-1]
        true = np.take_along_axis(labels[rows], order, axis=1)
        # A score's bin is the number of thresholds at or below it.
        bins = np.searchsorted(
            thresholds, np.take_along_axis(scores[rows], order, axis=1), side="right"
        )
        # The change of a protein's precision at each further prediction; summed over a bin it gives
        # the change at the threshold.
        changes = np.diff(np.cumsum(true, axis=1) / ranks, axis=1, prepend=0)
        precision += np.bincount(bins.ravel(), changes.ravel(), minlength=precision.size)
        recall += np.bincount(
            bins[true], 1 / np.repeat(labelled[rows], labelled[rows]), minlength=recall.size
        )
        covered += np.bincount(bins[:, 0], minlength=covered.size)
    sums = np.stack([_from_the_top(total)[1:] for total in (precision, covered, recall)])
    # Of a perfect ranking the sums may round to more.
    return min(1.0, float(_f(*sums, np.count_nonzero(labelled)).max()))


def multilabel_intervals(
    scores: Real[np.ndarray, "N C"],
    labels: Bool[np.ndarray, "N C"],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Interval]:
    """95 % percentile intervals of `aupr` and `fmax`, resampling proteins.

    Drawing anew the exact metrics would take minutes, so what is drawn is their value on `GRID`
    thresholds, at quantiles of the true labels' scores; the interval is moved by what that differs
    from the exact value for the proteins as they are, within 0 and 1.
    """
    scores, labels = np.asarray(scores), np.asarray(labels, bool)
    if not labels.any() or np.isnan(scores).any():
        return dict.fromkeys(("aupr", "fmax"), UNKNOWN)
    positives = np.sort(scores[labels])
    thresholds = np.unique(positives[np.linspace(0, positives.size - 1, GRID).round().astype(int)])
    predicted, true = _row_counts(scores, labels, thresholds)
    labelled = labels.sum(1, keepdims=True)
    precision = true / np.maximum(predicted, 1)
    recall = true / np.maximum(labelled, 1)

    def grid_aupr(sums: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
        predicted, true, labelled = np.split(sums, [len(thresholds), 2 * len(thresholds)], axis=1)
        found = true - np.pad(true[:, 1:], ((0, 0), (0, 1)))
        return np.sum(found * true / np.maximum(predicted, 1), axis=1) / labelled[:, 0]

    def grid_fmax(sums: Float[np.ndarray, "R K"]) -> Float[np.ndarray, " R"]:
        precision, covered, recall, proteins = np.split(
            sums, len(thresholds) * np.arange(1, 4), axis=1
        )
        return _f(precision, covered, recall, proteins).max(1)

    intervals = {}
    for name, statistic, columns, exact in (
        ("aupr", grid_aupr, (predicted, true, labelled), average_precision(scores, labels)),
        ("fmax", grid_fmax, (precision, predicted > 0, recall, labelled > 0), fmax(scores, labels)),
    ):
        sums = np.concatenate(columns, axis=1).astype(np.float64)
        drawn = bootstrap_of_sums(statistic, sums, seed=seed, resamples=resamples)
        moved = exact - float(statistic(sums.sum(0, keepdims=True))[0])
        bounds = np.clip(np.add(drawn, moved), 0, 1).tolist()
        intervals[name] = Interval(bounds, drawn.resamples + moved)
    return intervals


def _f(precision, covered, recall, proteins):
    """F from a threshold's sums over proteins: precision, any prediction, and recall."""
    p, r = precision / np.maximum(covered, 1), recall / proteins
    return 2 * p * r / np.where(p + r > 0, p + r, 1)


def _from_the_top(counts):
    """Sums over a bin and all above it, along the last axis."""
    return np.cumsum(counts[..., ::-1], axis=-1)[..., ::-1]


def _chunks(scores: np.ndarray) -> Iterator[slice]:
    rows = max(1, SCORES_AT_ONCE // max(1, scores.shape[1]))
    return (slice(start, start + rows) for start in range(0, len(scores), rows))


def _row_counts(
    scores: Real[np.ndarray, "N C"],
    labels: Bool[np.ndarray, "N C"],
    thresholds: Real[np.ndarray, " T"],
) -> tuple[Int[np.ndarray, "N T"], Int[np.ndarray, "N T"]]:
    """How many predictions each protein has at each threshold, and how many of them are true."""
    width = len(thresholds) + 1
    counts = []
    for rows in _chunks(scores):
        bins = np.searchsorted(thresholds, scores[rows], side="right")
        bins += width * np.arange(len(bins))[:, None]
        each = (
            np.bincount(of, minlength=width * len(bins)).reshape(-1, width)
            for of in (bins.ravel(), bins[labels[rows]])
        )
        counts.append([_from_the_top(count)[:, 1:] for count in each])
    predicted, true = (np.concatenate(part) for part in zip(*counts, strict=True))
    return predicted, true
