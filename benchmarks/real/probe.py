"""A frozen probe of locations on SCL2205 with results per protein, for paired comparisons."""

from pathlib import Path

import numpy as np

from benchmarks.evidence.intervals import cluster_draws, replicate_means
from benchmarks.evidence.measure import Measured
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.dataset import ProtAnno
from eval.benchmarks.base.single_proteins import limited
from eval.benchmarks.classification import judge_of
from eval.data.base.pretraining import SEEN, PretrainingSet
from eval.data.importers.scl2205 import read_scl2205
from eval.protocols.probe import FrozenProbe
from eval.protocols.problem import Features, Problem, prepare_splits
from eval.public.config_files import load_configs

BENCHMARK = "localisation_scl2205"
CONFIGS = Path("configs/eval")


class LocationProbe:
    """Trains on SCL2205's training table and tests on its validation table.

    No model was trained on the validation table.

    Args:
      folder: with `scl2205.{train,valid}.csv.gz` and `scl2205.labels.json`.
      dataset: the training data of the models; test proteins with a training sequence are left out.
      limit: maximum number of proteins per table; None = all.
      replicates, seed: of the draws. The data are homology-reduced, so each protein is its own
        cluster.
    """

    def __init__(
        self, folder: Path, dataset: ProtAnno, *, limit: int | None, replicates: int, seed: int
    ):
        files = {
            "train": [folder / "scl2205.train.csv.gz"],
            "test": [folder / "scl2205.valid.csv.gz"],
        }
        task = read_scl2205(files, benchmark=BENCHMARK, labels=folder / "scl2205.labels.json")
        task = task if limit is None else limited(task, limit)
        self._config = load_configs(CONFIGS, [])["probe"]
        shares = {name: self._config.splits[name] for name in ("valid_fraction", "test_fraction")}
        prepared = prepare_splits(task, **shares, remove_leaks=True)
        states = PretrainingSet.of(dataset).states(
            [sample.sequence for sample in prepared.splits["test"]]
        )
        kept = [
            one
            for one, state in zip(prepared.splits["test"], states.tolist(), strict=True)
            if state != SEEN
        ]
        print_status(
            f"probe: {len(kept):,} of {len(states):,} test proteins; the sequences of "
            "the others are in the pretraining data."
        )
        judge = judge_of(task)
        splits = prepared.splits | {"test": kept}
        self._problem = Problem(
            task.name, task.kind, len(task.classes), splits, judge.metrics[judge.main]
        )
        self._draws = cluster_draws(len(kept), seed=seed, replicates=replicates)

    def measure(self, features: Features) -> dict[str, Measured]:
        """Measures `scl2205_accuracy`: for each test protein, the share of seeds that are right."""
        outputs = FrozenProbe(features, self._config)(self._problem).outputs["test"]
        right = (outputs.argmax(2) == self._problem.targets("test")).mean(0)
        replicates = replicate_means(right, np.arange(len(right)), self._draws)
        return {"scl2205_accuracy": Measured(float(right.mean()), replicates)}
