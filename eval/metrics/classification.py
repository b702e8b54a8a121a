"""Metrics of decisions: accuracy, micro and macro F1."""

import numpy as np
from jaxtyping import Bool, Float, Shaped


def accuracy(predicted: Shaped[np.ndarray, " N"], labels: Shaped[np.ndarray, " N"]) -> float:
    """The share of rows whose predicted class is the label; NaN without rows.

    >>> accuracy(np.array([0, 1, 2]), np.array([0, 1, 1]))
    0.6666666666666666
    """
    return (
        float(np.mean(np.asarray(predicted) == np.asarray(labels))) if len(labels) else float("nan")
    )


def class_f1(
    predicted: Bool[np.ndarray, "N C"], labels: Bool[np.ndarray, "N C"]
) -> Float[np.ndarray, " C"]:
    """Per class 2·TP / (2·TP + FP + FN); NaN for classes neither labelled nor predicted.

    The denominator is the number predicted plus the number labelled.
    """
    predicted, labels = np.asarray(predicted, bool), np.asarray(labels, bool)
    total = predicted.sum(0) + labels.sum(0)
    return np.divide(
        2 * (predicted & labels).sum(0), total, out=np.full(total.shape, np.nan), where=total > 0
    )


def micro_f1(predicted: Bool[np.ndarray, "N C"], labels: Bool[np.ndarray, "N C"]) -> float:
    """F1 over all N·C decisions with equal weight; NaN if nothing is labelled or predicted.

    This is what GNN-PPI reports (Lv et al. 2021, https://arxiv.org/abs/2105.06709).

    >>> micro_f1(np.array([[True, True]]), np.array([[True, False]]))
    0.6666666666666666
    """
    return float(class_f1(np.reshape(predicted, (-1, 1)), np.reshape(labels, (-1, 1)))[0])


def macro_f1(predicted: Bool[np.ndarray, "N C"], labels: Bool[np.ndarray, "N C"]) -> float:
    """The mean of the classes' F1, without classes that are neither labelled nor predicted.

    NaN if no class is left.

    scikit-learn calls this `zero_division=np.nan`; its default counts such classes as zero.

    >>> macro_f1(np.array([[True, True]]), np.array([[True, False]]))
    0.5
    """
    values = class_f1(predicted, labels)
    return float(np.mean(values[~np.isnan(values)])) if not np.isnan(values).all() else float("nan")
