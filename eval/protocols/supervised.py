"""Runs a protocol on a task, judges each seed on test, and runs the controls.

Shared by all families of supervised benchmarks.
"""

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Float32
from ml_collections import ConfigDict

from eval.data.base.pretraining import PretrainingSet, counted, kept_rows, sentence
from eval.data.base.task import Task
from eval.metrics.identity import by_identity
from eval.metrics.statistics import Interval, mean_and_std, mean_interval
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import Fitted, FittingProtocol, Problem, Score, prepare_splits
from eval.protocols.ridge import Ridge
from eval.protocols.sequence_features import composition

Outputs = Float32[np.ndarray, "n C"]
COMPOSITION_HIDDEN = 512


class Judge(NamedTuple):
    """How to judge the outputs for a kind of task."""

    main: str
    """The metric that reports name first; the larger the better."""
    metrics: Mapping[str, Score]
    intervals: Callable[[Outputs, np.ndarray], dict[str, Interval]]
    """For each metric the 95 % bootstrap interval over proteins."""
    selection: Score
    """The score on validation for early stopping and hyper-parameters; the larger the better."""


class ShuffledLabels:
    """A control: the same protocol trained and stopped on shuffled labels. Its score is chance."""

    def __init__(self, protocol: FittingProtocol):
        self._protocol, self.name = protocol, f"{protocol.name}, shuffled labels"

    def __call__(self, problem: Problem) -> Fitted:
        """Fits the shuffled problem; its test split has the true labels."""
        return self._protocol(problem.with_shuffled_labels())


def standard_controls(protocol: FittingProtocol, probe_config: ConfigDict) -> list[FittingProtocol]:
    """Shuffled labels, k-mer ridge, and a frozen probe of the amino-acid composition."""
    return [ShuffledLabels(protocol), Ridge(), composition_probe(probe_config)]


def composition_probe(config: ConfigDict) -> FrozenProbe:
    """A frozen probe of the amino-acid composition.

    Its hidden layer is wider than these 20 features, for which the default would be too narrow.
    """
    config = config.copy_and_resolve_references()
    config.hidden = config.hidden or COMPOSITION_HIDDEN
    return FrozenProbe(composition, config, name="composition probe")


def run(
    task: Task,
    protocol: FittingProtocol,
    *,
    judge: Judge,
    splits: Mapping,
    controls: list[FittingProtocol] | None = None,
    pretraining: PretrainingSet | None = None,
) -> dict:
    """Runs a protocol on a task; the result suits `report.to_json`.

    Args:
      splits: `valid_fraction`, `test_fraction` and `remove_leaks`, as in the configs' `splits`.
      controls: protocols to compare with, on the same splits.
      pretraining: the model's training data; test proteins in it are left out of all metrics.

    Returns:
      `task`, `kind`, `classes`, `unit`, `main`, the facts of `prepare_splits`; `protocol`,
      `seconds`, `metrics` on test (from `judged`), `facts` of the training; `controls`, a list of
      the same four of each. If identities to training are known also `identity_curve`, the metrics
      below each cut-off, and `identity_unknown`, the rows without. With `pretraining` also the
      counts of test proteins by state and, if some were left out, `metrics_with_seen`.
    """
    prepared = prepare_splits(task, **splits)
    problem = Problem(task.name, task.kind, len(task.classes), prepared.splits, judge.selection)
    known = {
        "task": task.name,
        "kind": task.kind,
        "classes": len(task.classes),
        "unit": task.unit,
        "main": judge.main,
    }
    states = pretraining and pretraining.states(problem.sequences("test"))
    rows = np.ones(len(prepared.splits["test"]), bool) if states is None else kept_rows(states)
    fitted, result = _fitted(problem, protocol, judge, rows)
    result = known | prepared.facts | result
    outputs, targets = fitted.outputs["test"], problem.targets("test")
    if states is not None:
        counts = counted(states)
        result |= {
            "pretraining": counts,
            "notes": [*result["notes"], sentence(counts, left_out=not rows.all())],
        }
        result |= {} if rows.all() else {"metrics_with_seen": judged(outputs, targets, judge)}
    # NumPy reads None as NaN.
    identities = np.array([sample.identity for sample in prepared.splits["test"]], np.float64)
    if not np.isnan(identities[rows]).all():
        result["identity_curve"] = _identity_curve(
            outputs[:, rows], targets[rows], judge, identities[rows]
        )
        result["identity_unknown"] = int(np.isnan(identities[rows]).sum())
    return result | {
        "controls": [_fitted(problem, control, judge, rows)[1] for control in controls or ()]
    }


def _fitted(
    problem: Problem, protocol: FittingProtocol, judge: Judge, rows: Bool[np.ndarray, " n"]
) -> tuple[Fitted, dict]:
    """A protocol's predictions, and how to judge these rows of the test split."""
    start = time.perf_counter()
    fitted = protocol(problem)
    seconds = time.perf_counter() - start
    metrics = judged(fitted.outputs["test"][:, rows], problem.targets("test")[rows], judge)
    return fitted, {
        "protocol": protocol.name,
        "seconds": seconds,
        "metrics": metrics,
        "facts": fitted.facts,
    }


def _identity_curve(
    outputs: Float32[np.ndarray, "seeds n C"],
    targets: np.ndarray,
    judge: Judge,
    identities: Float[np.ndarray, " n"],
) -> list[dict]:
    """`cutoff`, `rows`, and `metrics` from `judged`, None without rows."""
    by_row = outputs.swapaxes(0, 1)
    points = by_identity(
        lambda some, labels: judged(some.swapaxes(0, 1), labels, judge), identities, by_row, targets
    )
    return [
        {"cutoff": p.cutoff, "rows": p.rows, "metrics": p.value if p.rows else None} for p in points
    ]


def judged(
    outputs: Float32[np.ndarray, "seeds n C"], targets: np.ndarray, judge: Judge
) -> dict[str, dict]:
    """Per metric: `seeds` (each one's value), their `mean` and `std`, and `interval`.

    The interval is the mean of the seeds' bootstrap intervals: the spread due to the choice of test
    proteins. The seeds' own spread, `std`, comes on top.
    """
    intervals = [judge.intervals(of_seed, targets) for of_seed in outputs]
    result = {}
    for name, metric in judge.metrics.items():
        values = [metric(of_seed, targets) for of_seed in outputs]
        mean, std = mean_and_std(values)
        interval = mean_interval([of_seed[name] for of_seed in intervals])
        result[name] = {"mean": mean, "std": std, "seeds": values, "interval": interval}
    return result
