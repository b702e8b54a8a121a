"""Effects of mutations and other numbers of a protein: Spearman correlation, with the errors in the data's unit beside it."""

from collections.abc import Mapping

import numpy as np

from data_pipelines.common.errors import UserError
from eval.data.base.task import Task
from eval.metrics import mae, pearson, rmse, spearman, spearman_interval
from eval.metrics.statistics import bootstrap_interval, bootstrap_of_sums
from eval.protocols import supervised
from eval.protocols.problem import FittingProtocol
from eval.protocols.supervised import Judge, Outputs

BENCHMARKS = ("beta_lactamase", "aav", "thermostability", "fluorescence", "stability")


def _intervals(outputs: Outputs, targets: np.ndarray) -> dict[str, tuple[float, float]]:
    predicted, true = outputs[:, 0].astype(np.float64), targets.astype(np.float64)
    errors, ones = predicted - true, np.ones(len(true))
    # The correlation is that of the centred numbers, whose squares cancel less.
    x, y = predicted - predicted.mean(), true - true.mean()
    return {
        "spearman": spearman_interval(predicted, true),
        "pearson": bootstrap_of_sums(_pearson_of_sums, np.stack([ones, x, y, x * x, y * y, x * y], axis=1)),
        "mae": bootstrap_interval(np.abs(errors)),
        "rmse": bootstrap_of_sums(lambda sums: np.sqrt(sums[:, 0] / sums[:, 1]), np.stack([errors**2, ones], axis=1)),
    }


def _pearson_of_sums(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation from Σ1, Σx, Σy, Σx², Σy², Σxy of many resamples."""
    count, x, y, xx, yy, xy = sums.T
    return (count * xy - x * y) / np.sqrt((count * xx - x * x) * (count * yy - y * y))


JUDGE = Judge(
    "spearman",
    {
        "spearman": lambda outputs, targets: spearman(outputs[:, 0], targets),
        "pearson": lambda outputs, targets: pearson(outputs[:, 0], targets),
        "mae": lambda outputs, targets: mae(outputs[:, 0], targets),
        "rmse": lambda outputs, targets: rmse(outputs[:, 0], targets),
    },
    _intervals,
)


def run(task: Task, protocol: FittingProtocol, *, splits: Mapping, controls: list[FittingProtocol] | None = None) -> dict:
    """The result of a protocol (`probe.FrozenProbe`, `fine_tuning.FineTuning`, …) on a task: see `supervised.run`.

    Raises:
      UserError: the task's targets are no numbers.
    """
    if task.kind != "regression":
        raise UserError(f"{task.name} should be a regression and its data are {task.kind}; correct its format in the manifest.")
    return supervised.run(task, protocol, judge=JUDGE, splits=splits, controls=controls)
