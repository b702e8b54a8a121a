"""Mutation effects and other numbers of a protein: Spearman correlation, and errors in the unit."""

import numpy as np

from data_pipelines.common.errors import UserError
from eval.benchmarks.base.family import Measured, Setup
from eval.benchmarks.base.single_proteins import SingleProteins, of_setup
from eval.data.base import known_sources
from eval.data.base.benchmark import Benchmark
from eval.data.base.published import data_size
from eval.data.base.source import Source
from eval.data.base.task import SPLITS, Task
from eval.data.importers.flip import FLIP
from eval.data.importers.neutral import NEUTRAL
from eval.data.importers.ses import SES_JSONL
from eval.data.importers.tables import TABLES
from eval.data.importers.variants import VARIANT_FASTA, VARIANT_TABLE
from eval.data.importers.windows import WINDOWS
from eval.metrics import mae, pearson, rmse, spearman, spearman_interval
from eval.metrics.statistics import Interval, bootstrap_interval, bootstrap_of_sums
from eval.protocols.supervised import Judge, Outputs


def _intervals(outputs: Outputs, targets: np.ndarray) -> dict[str, Interval]:
    predicted, true = outputs[:, 0].astype(np.float64), targets.astype(np.float64)
    errors, ones = predicted - true, np.ones(len(true))
    # Correlates centred numbers, which lose fewer digits when squares are subtracted.
    x, y = predicted - predicted.mean(), true - true.mean()
    return {
        "spearman": spearman_interval(predicted, true),
        "pearson": bootstrap_of_sums(
            _pearson_of_sums, np.stack([ones, x, y, x * x, y * y, x * y], axis=1)
        ),
        "mae": bootstrap_interval(np.abs(errors)),
        "rmse": bootstrap_of_sums(
            lambda sums: np.sqrt(sums[:, 0] / sums[:, 1]), np.stack([errors**2, ones], axis=1)
        ),
    }


def _pearson_of_sums(sums: np.ndarray) -> np.ndarray:
    """Pearson's correlation from Σ1, Σx, Σy, Σx², Σy², Σxy of many resamples."""
    count, x, y, xx, yy, xy = sums.T
    return (count * xy - x * y) / np.sqrt((count * xx - x * x) * (count * yy - y * y))


def _less_error(outputs: Outputs, targets: np.ndarray) -> float:
    """Keeps the epoch with the smallest mean absolute error, as the released code does."""
    return -mae(outputs[:, 0], targets)


JUDGE = Judge(
    "spearman",
    {
        "spearman": lambda outputs, targets: spearman(outputs[:, 0], targets),
        "pearson": lambda outputs, targets: pearson(outputs[:, 0], targets),
        "mae": lambda outputs, targets: mae(outputs[:, 0], targets),
        "rmse": lambda outputs, targets: rmse(outputs[:, 0], targets),
    },
    _intervals,
    _less_error,
)


def judge_of(task: Task) -> Judge:
    """The metrics of a regression.

    Raises:
      UserError: the task's targets are not numbers.
    """
    if task.kind != "regression":
        raise UserError(
            f"{task.name} should be a regression, but its data are {task.kind}; correct its "
            "format in the manifest."
        )
    return JUDGE


_FLIP_FOLDER = "github.com/J-SNACKKB/FLIP"
_TAPE_OR_PEER = (
    "TAPE (github.com/songlab-cal/tape) or PEER (github.com/DeepGraphLearning/PEER_Benchmark), "
    "exported to CSV"
)
_TORCHDRUG = "TorchDrug, torchdrug/datasets/{}.py"


def _tables(name: str) -> dict:
    return {"format": "tables"} | {split: f"{name}/{name}_{split}.csv" for split in SPLITS}


def _regression(
    name: str,
    unit: str,
    wanted: str,
    template: dict,
    *formats,
    source: Source,
    region: tuple[int, int] | None = None,
) -> Benchmark:
    """A benchmark in one of `formats`, or in any format that can hold numbers of proteins."""
    general = (FLIP, TABLES, VARIANT_TABLE, VARIANT_FASTA, NEUTRAL)
    return Benchmark(
        name,
        wanted,
        (*formats, *general),
        template,
        kind="regression",
        unit=unit,
        source=source,
        region=region,
    )


AAV_REGION = (475, 674)
"""ProtST's AAV slice `region = slice(474, 674)` (protst/dataset.py), the default there.

The model sees nothing else.
"""


class MutationEffect(SingleProteins):
    """Spearman correlation of predicted and measured numbers, by the setup's protocol."""

    name = "mutation_effect"
    title = "Mutation effects and other numbers of a protein"
    benchmarks = (
        _regression(
            "beta_lactamase",
            "scaled effect",
            "PEER's beta-lactamase splits exported to CSV "
            "(github.com/DeepGraphLearning/PEER_Benchmark), or "
            "P62593.fasta from github.com/facebookresearch/esm, examples/data",
            _tables("beta_lactamase"),
            source=known_sources.BETA_LACTAMASE,
        ),
        _regression(
            "aav",
            "fitness",
            f"two_vs_many.csv of FLIP, from splits/aav/splits.zip of {_FLIP_FOLDER}",
            {"format": "flip", "file": "flip/aav/two_vs_many.csv"},
            WINDOWS,
            source=known_sources.FLIP_AAV,
            region=AAV_REGION,
        ),
        _regression(
            "gb1",
            "fitness",
            f"two_vs_rest.csv of FLIP, from splits/gb1/splits.zip of {_FLIP_FOLDER}",
            {"format": "flip", "file": "flip/gb1/two_vs_rest.csv"},
            source=known_sources.FLIP_GB1,
        ),
        _regression(
            "thermostability",
            "°C",
            f"human_cell.csv of FLIP, from splits/meltome/splits.zip of {_FLIP_FOLDER}",
            {"format": "flip", "file": "flip/meltome/human_cell.csv"},
            SES_JSONL,
            source=known_sources.FLIP_MELTOME,
        ),
        _regression(
            "fluorescence",
            "log10 of the fluorescence",
            f"the fluorescence train, valid and test splits of {_TAPE_OR_PEER}",
            _tables("fluorescence"),
            source=known_sources.TAPE_OR_PEER,
        ),
        _regression(
            "stability",
            "log10 of EC50 over the unfolded state's",
            f"the stability train, valid and test splits of {_TAPE_OR_PEER}",
            _tables("stability"),
            source=known_sources.TAPE_OR_PEER,
        ),
    )
    sizes = (
        data_size(
            "beta_lactamase", _TORCHDRUG.format("beta_lactamase"), train=4158, valid=520, test=520
        ),
        data_size(
            "fluorescence", _TORCHDRUG.format("fluorescence"), train=21446, valid=5362, test=27217
        ),
        data_size("stability", _TORCHDRUG.format("stability"), train=53571, valid=2512, test=12851),
    )

    def measure(self, setup: Setup, name: str, data: Task) -> Measured:
        """The protocol's result beside its controls; see `of_setup`."""
        del name
        return of_setup(setup, data, judge=judge_of(data))
