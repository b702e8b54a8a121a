"""What families of benchmarks of single proteins share: data are counted, checked and limited."""

import dataclasses

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from eval.benchmarks.base.family import BenchmarkFamily, Measured
from eval.data.base.audit import audit_task
from eval.data.base.benchmark import Benchmark
from eval.data.base.task import Task


class SingleProteins(BenchmarkFamily):
    """A family whose data are a `Task`: proteins, and what is to be predicted of each."""

    def accepted(self, benchmark: Benchmark, data: Task) -> Task:
        """The task, in the benchmark's unit.

        Raises:
          UserError: it has no row that can be used.
        """
        if not any(data.splits.values()):
            fault = data.rejects[0].reason if data.rejects else "the files are empty"
            raise UserError(f"{benchmark.name} has no row that can be used; the first of its faults is: {fault}.")
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


def of_seeds(result: dict) -> Measured:
    """What `protocols.supervised.run` gave, with the metrics of its seeds as the headline."""
    headline = {}
    for metric, value in result["metrics"].items():
        headline[metric] = {key: value[key] for key in ("mean", "std", "interval")}
    return Measured(result, headline)
