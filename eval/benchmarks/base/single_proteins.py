"""What families of benchmarks of single proteins share: data are counted, checked and limited."""

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
    """A family whose data are a `Task`: proteins, and what is to be predicted of each."""

    def accepted(self, benchmark: Benchmark, data: Task) -> Task:
        """The task, in the benchmark's unit.

        Raises:
          UserError: it has no row that can be used.
        """
        if not any(data.splits.values()):
            fault = data.rejects[0].reason if data.rejects else "the files are empty"
            raise UserError(
                f"{benchmark.name} has no row that can be used; the first of its faults is: "
                f"{fault}."
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
    """The same task with at most `limit` proteins in each split, those of the lowest hashes."""
    splits = {
        name: sorted(samples, key=lambda sample: hash64(f"limit {sample.sequence}"))[:limit]
        for name, samples in task.splits.items()
    }
    return dataclasses.replace(task, splits=splits)


def of_setup(setup: Setup, task: Task, *, judge: Judge) -> Measured:
    """The result of the setup's protocol on a task beside its controls, the metrics of its seeds
    as the headline."""
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
    return {
        metric: {key: value[key] for key in ("mean", "std", "interval")}
        for metric, value in metrics.items()
    }


def without_seen(
    task: Task, pretraining: PretrainingSet | None, *, split: str
) -> tuple[Task, dict]:
    """The task without the split's proteins that were in pretraining, and facts for the result.

    A task none of whose proteins would be left stays as it is.

    Returns:
      the task, and `pretraining`, the counts by state, with a sentence in `notes`; nothing where
      pretraining is not known.
    """
    samples = task.splits.get(split, [])
    if pretraining is None or not samples:
        return task, {}
    states = pretraining.states([sample.sequence for sample in samples])
    kept = kept_rows(states)
    rest = [sample for sample, keep in zip(samples, kept, strict=True) if keep]
    counts = counted(states)
    told = {"pretraining": counts, "notes": [sentence(counts, left_out=not kept.all())]}
    return dataclasses.replace(task, splits={**task.splits, split: rest}), told
