"""The small files of what is measured, one for each model and set of proteins: what is there is
not measured again."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from benchmarks.evidence.measure import Measured
from benchmarks.evidence.runs import keep, read_kept
from benchmarks.real.plan import ARMS, UNTRAINED
from data_pipelines.common.hashing import file_sha256

OUTSIDE, PROBE, LOSSES = "outside", "probe", "losses"
"""Sets of proteins beside the dataset's splits: an outside test set, a probe's, and those of
held-out losses."""
BASELINES = "baselines"
"""An empty file that stands for all baselines of a split, each of which has a file of its own
too."""

BLANK = "+"
"""In the name of a file, where a model's name has a blank."""


def outside_name(path: Path) -> str:
    """What an outside test set is called in results: another file has another name."""
    return f"{OUTSIDE}_{file_sha256(path)[:8]}"


class Run(NamedTuple):
    """Where the results of a form and a seed are, and how their names begin."""

    results: Path
    form: str
    seed: int

    def path(self, split: str, model: str) -> Path:
        """The file of a model on a set of proteins."""
        return self.results / f"{self.form}_{self.seed}_{split}_{model.replace(' ', BLANK)}.json"

    def keep(self, split: str, model: str, found: dict[str, Measured]) -> None:
        """Writes what was measured of a model."""
        keep(self.path(split, model), found)

    def found(self, split: str, model: str) -> dict[str, Measured]:
        """What is kept of a model; empty before it is measured."""
        path = self.path(split, model)
        return read_kept(path) if path.exists() else {}

    def missing(self, split: str, models: Iterable[str]) -> list[str]:
        """The models that are not measured yet, in their order."""
        return [model for model in models if not self.path(split, model).exists()]

    def models(self, split: str) -> list[str]:
        """The models that are measured on a set of proteins."""
        start = f"{self.form}_{self.seed}_{split}_"
        names = [
            path.name.removeprefix(start).removesuffix(".json")
            for path in self.results.glob(f"{start}*.json")
        ]
        return sorted(name.replace(BLANK, " ") for name in names)

    def baselines(self, split: str) -> list[str]:
        """Those of them that are baselines."""
        return [name for name in self.models(split) if name not in (*ARMS, *UNTRAINED, BASELINES)]
