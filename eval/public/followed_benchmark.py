"""Follows a public benchmark during pretraining: one seed, without controls or report.

One entry of `config.evals` asks for it: `membrane=dict(data_dir="public", every=10_000,
limit=2_000)`. The hyper-parameters are those of `configs/eval`, found as the command's are: in
the working directory, else in the package.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from eval.benchmarks.families import FAMILIES, Setup, family_of, measure
from eval.data import manifest
from eval.pretraining.evaluation import Model
from eval.protocols.probe import FrozenProbe
from eval.public.config_files import load_configs

CONFIGS = Path("configs/eval")


def changes() -> Iterator[str]:
    """What makes the protocols cheap; the report after training has all seeds and controls."""
    yield "probe.seeds=(0,)"
    for family in FAMILIES:
        for change in family.following:
            yield f"{family.name}.{change}"


class FollowedBenchmark:
    """The benchmark with its data read, ready for any number of models.

    Args:
      benchmark: one of `eval.benchmarks.families.BENCHMARKS`.
      key: what stands before the slash of metric names.
      data_dir: a folder as docs/benchmarks.md describes it.
      limit: at most so many proteins of each split, those of the lowest hash; None takes all.

    Raises:
      UserError: a benchmark that trains for hours, data that are not there, or a limit where it
        means nothing.
    """

    def __init__(self, benchmark: str, *, key: str, data_dir: str, limit: int | None = None):
        family = family_of(benchmark)
        if family.too_long:
            raise UserError(
                f"{benchmark} {family.too_long}, too long to follow in training; run `python "
                "-m eval` on it."
            )
        data = manifest.load(Path(data_dir), benchmark)
        self.key, self._benchmark = key, benchmark
        self._data = data if limit is None else family.limited(benchmark, data, limit)
        self._configs = load_configs(CONFIGS, list(changes()))

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean of each headline number of the benchmark; NaN if undefined."""
        config = self._configs["probe"]
        setup = Setup(
            embed=model.mean_embeddings,
            project=model.encode_proteins,
            texts=model.encode_texts,
            text_means=model.mean_text_embeddings,
            variants=model.variant_scores,
            protocol=FrozenProbe(model.mean_embeddings, config),
            splits=config.splits.to_dict(),
            controls=(),
            configs=self._configs,
        )
        headline = measure(setup, self._benchmark, self._data).headline
        means = {
            metric.replace(", ", "_").replace(" ", "_"): value["mean"]
            for metric, value in headline.items()
        }
        return {metric: np.nan if mean is None else float(mean) for metric, mean in means.items()}
