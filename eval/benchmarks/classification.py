"""Protein classification: localisation, membrane or soluble, EC numbers, GO terms, enzyme reactions.

One class each: accuracy. Several: protein-centric Fmax, which training is stopped by, and micro AUPR.
"""

from collections.abc import Mapping

import numpy as np

from data_pipelines.common.errors import UserError
from eval.data.base.task import Task
from eval.metrics import accuracy, average_precision, fmax, macro_f1, multilabel_intervals
from eval.metrics.statistics import bootstrap_interval, bootstrap_metric
from eval.protocols import supervised
from eval.protocols.problem import FittingProtocol
from eval.protocols.supervised import Judge, Outputs

BENCHMARKS = {
    "localisation": "multiclass",
    "membrane": "multiclass",
    "reaction": "multiclass",
    "ec": "multilabel",
    "go_mf": "multilabel",
    "go_bp": "multilabel",
    "go_cc": "multilabel",
}
"""The kind of each."""


def _predicted(outputs: Outputs) -> np.ndarray:
    return outputs.argmax(1)


def _macro_f1(outputs: Outputs, classes: np.ndarray) -> float:
    one_hot = np.eye(outputs.shape[1], dtype=bool)
    return macro_f1(one_hot[_predicted(outputs)], one_hot[classes])


def _multiclass_intervals(outputs: Outputs, classes: np.ndarray) -> dict[str, tuple[float, float]]:
    return {
        "accuracy": bootstrap_interval(_predicted(outputs) == classes),
        "macro_f1": bootstrap_metric(_macro_f1, outputs, classes, resamples=MACRO_F1_RESAMPLES),
    }


MACRO_F1_RESAMPLES = 400
"""It has no sums over proteins to draw, so it costs a pass over all classes each time."""

JUDGES = {
    "multiclass": Judge(
        "accuracy",
        {"accuracy": lambda outputs, classes: accuracy(_predicted(outputs), classes), "macro_f1": _macro_f1},
        _multiclass_intervals,
    ),
    "multilabel": Judge("fmax", {"fmax": fmax, "aupr": average_precision}, multilabel_intervals),
}


def run(task: Task, protocol: FittingProtocol, *, splits: Mapping, controls: list[FittingProtocol] | None = None) -> dict:
    """The result of a protocol (`probe.FrozenProbe`, `fine_tuning.FineTuning`, …) on a task: see `supervised.run`.

    Raises:
      UserError: the task is none of classes, not of the kind that its name stands for, or none of its proteins has a class.
    """
    wanted = BENCHMARKS.get(task.name, task.kind)
    if task.kind != wanted or task.kind not in JUDGES:
        raise UserError(f"{task.name} should be {wanted} and its data are {task.kind}; correct its format in the manifest.")
    if not task.classes:
        raise UserError(f"{task.name}: none of its proteins has a class; give rows with targets, or the list of classes.")
    return supervised.run(task, protocol, judge=JUDGES[task.kind], splits=splits, controls=controls)
