"""A public benchmark that is followed during pretraining: the head's numbers with one seed, without controls or report.

One entry of `config.evals` asks for it: `membrane=dict(data_dir="public", every=10_000, limit=2_000)`. The hyper-parameters are
those of `configs/eval`, found beside the current folder, as the command's are.
"""

import dataclasses
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from eval.benchmarks.families import Setup, measure
from eval.data import manifest
from eval.data.base.benchmarks import CROSS_MODAL
from eval.data.base.task import Benchmark, PromptedTask, Task
from eval.pretraining.evaluation import Model
from eval.protocols.config_files import load_configs
from eval.protocols.probe import FrozenProbe

CONFIGS = Path("configs/eval")
CHANGES = (
    "probe.seeds=(0,)",
    "protein_interaction.seeds=1",
    "protein_interaction.composition_baseline=False",
    "few_shot.draws=3",
)
"""What makes the protocols cheap; the report after training has all seeds and controls."""


class FollowedBenchmark:
    """The benchmark with its data read, ready for any number of models.

    Args:
      benchmark: one of `eval.data.base.benchmarks.BENCHMARKS`.
      key: what stands before the slash of metric names.
      data_dir: a folder as docs/benchmarks.md describes it.
      limit: at most so many proteins of each split, those of the lowest hash; None takes all.

    Raises:
      UserError: a benchmark that trains for hours, data that are not there, or a limit where it means nothing.
    """

    def __init__(self, benchmark: str, *, key: str, data_dir: str, limit: int | None = None):
        if benchmark in CROSS_MODAL:
            raise UserError(
                f"{benchmark} trains a bridge for hours, too long to follow in training; run `python -m eval` on it."
            )
        data = manifest.load(Path(data_dir), benchmark)
        if limit is not None and not isinstance(data, Task | PromptedTask):
            raise UserError(f"limit means nothing for {benchmark}; it is for benchmarks of single proteins.")
        self.key, self._benchmark = key, benchmark
        self._data = data if limit is None else limited(data, limit)
        self._configs = load_configs(CONFIGS, CHANGES)

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean of each of the numbers that the report of the benchmark begins with; NaN where it is undefined."""
        config = self._configs["probe"]
        setup = Setup(
            embed=model.mean_embeddings,
            project=model.encode_proteins,
            texts=model.encode_texts,
            protocol=FrozenProbe(model.mean_embeddings, config),
            splits=config.splits.to_dict(),
            controls=(),
            configs=self._configs,
        )
        headline = measure(setup, self._benchmark, self._data).headline
        means = {metric.replace(", ", "_").replace(" ", "_"): value["mean"] for metric, value in headline.items()}
        return {metric: np.nan if mean is None else float(mean) for metric, mean in means.items()}


def limited(data: Benchmark, limit: int) -> Benchmark:
    """The same data with at most `limit` proteins in each split: those whose sequences have the lowest hashes."""
    if isinstance(data, PromptedTask):
        return dataclasses.replace(data, task=limited(data.task, limit))
    splits = {
        name: sorted(samples, key=lambda sample: hash64(f"limit {sample.sequence}"))[:limit]
        for name, samples in data.splits.items()
    }
    return dataclasses.replace(data, splits=splits)
