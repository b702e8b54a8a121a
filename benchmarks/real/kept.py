"""Stores measurements in one small file per model and set of proteins, so none is repeated."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.evidence.measure import Measured
from benchmarks.evidence.runs import keep, read_kept
from benchmarks.real.plan import ARMS, UNTRAINED
from data_pipelines.common.hashing import file_sha256

OUTSIDE, PROBE, LOSSES, SEGMENTS = "outside", "probe", "losses", "segments"
"""Sets of proteins besides the splits: an outside test set, a probe's, those of held-out losses,
and those with features."""
BASELINES = "baselines"
"""An empty file that marks all baselines of a split as measured; each also has its own file."""

LINEAR_PREFIX = "linear_"
"""Marks a quantity of the linear model in the file of an arm whose records it learns from."""

BLANK = "+"
"""Replaces blanks of a model's name in file names."""


def outside_name(path: Path) -> str:
    """The name of an outside test set in results; it differs between files."""
    return f"{OUTSIDE}_{file_sha256(path)[:8]}"


class Run(NamedTuple):
    """The folder of the results of a form and a seed, and the prefix of their names."""

    results: Path
    form: str
    seed: int

    def path(self, split: str, model: str) -> Path:
        """The file for a model on a set of proteins."""
        return self.results / f"{self.form}_{self.seed}_{split}_{model.replace(' ', BLANK)}.json"

    def keep(self, split: str, model: str, found: dict[str, Measured]) -> None:
        """Writes the measurements of a model."""
        keep(self.path(split, model), found)

    def found(self, split: str, model: str) -> dict[str, Measured]:
        """Reads the measurements of a model; empty before it is measured."""
        path = self.path(split, model)
        return read_kept(path) if path.exists() else {}

    def missing(self, split: str, models: Iterable[str]) -> list[str]:
        """The models that are not measured yet, in order."""
        return [model for model in models if not self.path(split, model).exists()]

    def models(self, split: str) -> list[str]:
        """The models measured on a set of proteins."""
        start = f"{self.form}_{self.seed}_{split}_"
        names = [
            path.name.removeprefix(start).removesuffix(".json")
            for path in self.results.glob(f"{start}*.json")
        ]
        return sorted(name.replace(BLANK, " ") for name in names)

    def baselines(self, split: str) -> list[str]:
        """The baselines among these models."""
        return [name for name in self.models(split) if name not in (*ARMS, *UNTRAINED, BASELINES)]
