"""The numbers that benchmarks are judged by, in pure NumPy; one file per kind.

What a metric cannot be said of is NaN: no rows, no positives, constants to be correlated, scores
that are not numbers.
"""

from eval.metrics.classification import accuracy, class_f1, macro_f1, micro_f1
from eval.metrics.identity import CutoffPoint, by_identity
from eval.metrics.multilabel import average_precision, fmax, multilabel_intervals
from eval.metrics.ranking import best_hit, every_hit, hits_at, mean_reciprocal_rank
from eval.metrics.regression import (
    correlation_p_value,
    mae,
    pearson,
    rmse,
    spearman,
    spearman_interval,
    spearman_of_counts,
)

__all__ = [
    "CutoffPoint",
    "accuracy",
    "average_precision",
    "best_hit",
    "by_identity",
    "class_f1",
    "correlation_p_value",
    "every_hit",
    "fmax",
    "hits_at",
    "macro_f1",
    "mae",
    "mean_reciprocal_rank",
    "micro_f1",
    "multilabel_intervals",
    "pearson",
    "rmse",
    "spearman",
    "spearman_interval",
    "spearman_of_counts",
]
