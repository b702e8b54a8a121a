"""Shared code for benchmarks of single proteins: counts, checks and limits their data."""

import dataclasses
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from eval.benchmarks.base.family import BenchmarkFamily, Measured, Setup
from eval.data.base.audit import audit_task
from eval.data.base.benchmark import Benchmark
from eval.data.base.pretraining import PretrainingSet, counted, kept_rows, sentence
from eval.data.base.task import Task
from eval.protocols import supervised
from eval.protocols.supervised import Judge


class SingleProteins(BenchmarkFamily):
    """A family whose data are a `Task`: proteins, each with a target."""

    def accepted(self, benchmark: Benchmark, data: Task) -> Task:
        """Adds the benchmark's unit to the task.

        Raises:
          UserError: the task has no usable row.
        """
        if not any(data.splits.values()):
            fault = data.rejects[0].reason if data.rejects else "the files are empty"
            raise UserError(
                f"{benchmark.name} has no usable row; the first row was rejected because: {fault}."
            )
        return dataclasses.replace(data, unit=benchmark.unit)

    def counts(self, data: Task) -> dict[str, int]:
        """Rows by split."""
        return {split: len(samples) for split, samples in data.splits.items()}

    def audit(self, data: Task) -> dict:
        """See `audit_task`."""
        return audit_task(data)

    def limited(self, name: str, data: Task, limit: int) -> Task:
        """See `limited`."""
        del name
        return limited(data, limit)


def limited(task: Task, limit: int) -> Task:
    """Keeps at most `limit` proteins in each split, those with the lowest hashes."""
    splits = {
        name: sorted(samples, key=lambda sample: hash64(f"limit {sample.sequence}"))[:limit]
        for name, samples in task.splits.items()
    }
    return dataclasses.replace(task, splits=splits)


def of_setup(setup: Setup, task: Task, *, judge: Judge) -> Measured:
    """Fits the setup's protocol and its controls; the headline is the metrics over seeds."""
    result = supervised.run(
        task,
        setup.protocol,
        judge=judge,
        splits=setup.splits,
        controls=list(setup.controls),
        pretraining=setup.pretraining,
    )
    return Measured(
        result, _headline(result["metrics"]), _headline(result.get("metrics_with_seen", {}))
    )


def _headline(metrics: Mapping[str, Mapping]) -> dict[str, dict]:
    return {metric: _summary(value) for metric, value in metrics.items()}


def _summary(value: Mapping) -> dict:
    return {key: value[key] for key in ("mean", "std", "interval")}


def without_seen(
    task: Task, pretraining: PretrainingSet | None, *, split: str
) -> tuple[Task, dict]:
    """Removes proteins seen in pretraining from a split, and reports facts for the result.

    A task that would lose all its proteins stays as it is.

    Returns:
      the task, and `pretraining` (the counts by state) with a sentence in `notes`; nothing if
      pretraining is unknown.
    """
    samples = task.splits.get(split, [])
    if pretraining is None or not samples:
        return task, {}
    states = pretraining.states([sample.sequence for sample in samples])
    kept = kept_rows(states)
    rest = [sample for sample, keep in zip(samples, kept, strict=True) if keep]
    counts = counted(states)
    facts = {"pretraining": counts, "notes": [sentence(counts, left_out=not kept.all())]}
    return dataclasses.replace(task, splits={**task.splits, split: rest}), facts
