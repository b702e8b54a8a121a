"""The steps of a setup; the files in the folder show whether a step is done, started or open."""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from data_pipelines.build.__main__ import MINHASH, Options, build, usable_cores
from data_pipelines.build.local import local_runner
from data_pipelines.common.outputs import new_folder
from data_pipelines.common.progress import print_status
from data_pipelines.download.resumable import provenance_path
from data_pipelines.download.sources import Connection, fetch, file_name
from data_pipelines.protanno.dataset import STATISTICS
from eval import __main__ as evaluation
from eval.calibration.calibrate import TooFewQuestions
from eval.command_line import parse_arguments
from eval.setup.plan_file import read_plan, write_plan
from protclip_jax.index import __main__ as indexing
from protclip_jax.retrieval.calibration import FILE, read_calibration
from protclip_jax.retrieval.index_folder import MANIFEST


@dataclasses.dataclass(frozen=True, kw_only=True)
class Setup:
    """The proteins to set up, the folder, and the model.

    Attributes:
      what: `swissprot` or `proteome:UPID`.
      output: the folder for everything except the calibration, which is stored in the checkpoint.
      model, step: the checkpoint.
    """

    what: str
    output: Path
    model: Path
    step: str | None
    connection: Connection

    @property
    def source(self) -> Path:
        """The downloaded file."""
        return self.output / file_name(self.what)

    @property
    def dataset(self) -> Path:
        """The built dataset."""
        return self.output / "protanno"

    @property
    def index(self) -> Path:
        """The index, which `search` and `serve` take as --index."""
        return self.output / "index"

    @property
    def report(self) -> Path:
        """The report on the calibration."""
        return self.output / "calibration"


class Step(NamedTuple):
    """A step: whether it is done, and a function that runs or continues it."""

    is_done: Callable[[], bool]
    run: Callable[[], None]


def steps_of(setup: Setup) -> dict[str, Step]:
    """The steps by name, in order."""
    pairs = {
        "download": (is_downloaded, download),
        "build": (is_built, build_dataset),
        "calibrate": (is_calibrated, calibrate),
        "index": (is_indexed, make_index),
    }
    return {
        name: Step(functools.partial(is_done, setup), functools.partial(run, setup))
        for name, (is_done, run) in pairs.items()
    }


def is_downloaded(setup: Setup) -> bool:
    """Whether the file exists, or is no longer needed."""
    is_whole = setup.source.exists() and provenance_path(setup.source).exists()
    return is_whole or is_built(setup)


def download(setup: Setup) -> None:
    """Downloads the file, continuing an earlier download."""
    fetch(setup.what, setup.output, setup.connection)


def is_built(setup: Setup) -> bool:
    """Whether the dataset is complete; it is written atomically."""
    return (setup.dataset / STATISTICS).exists()


def build_dataset(setup: Setup) -> None:
    """Builds the dataset from scratch, with whole clusters held out for the calibration."""
    options = Options(inputs=(setup.source,), cluster=MINHASH)
    workers = usable_cores(options.inputs)
    with new_folder(setup.dataset) as directory, local_runner(workers) as runner:
        result = build(options, directory, runner=runner)
    print_status(f"{setup.dataset}: {result['records']:,} proteins.")


def is_calibrated(setup: Setup) -> bool:
    """Whether the checkpoint has a calibration, or there were too few questions for one."""
    known = read_calibration(setup.model / FILE) is not None
    return known or "not_calibrated" in read_plan(setup.output)


def calibrate(setup: Setup) -> None:
    """Calibrates the checkpoint on the dataset; records if the dataset is too small for that."""
    line = ["--checkpoint", str(setup.model), "--calibrate", "--data_dir", str(setup.dataset)]
    line += ["--output", str(setup.report), *_step(setup)]
    try:
        evaluation.calibrate(parse_arguments(line))
    except TooFewQuestions as error:
        print_status(f"not calibrated: {error} The index will have shuffled proteins for q-values.")
        write_plan(setup.output, read_plan(setup.output) | {"not_calibrated": str(error)})


def is_indexed(setup: Setup) -> bool:
    """Whether the index is complete and the run that made it has cleaned up."""
    partial = setup.index.with_name(f"{setup.index.name}.partial")
    return (setup.index / MANIFEST).exists() and not partial.exists()


def make_index(setup: Setup) -> None:
    """Embeds the dataset's proteins, continuing an earlier run, and writes the index."""
    line = ["--checkpoint", str(setup.model), "--input", str(setup.dataset)]
    line += ["--output", str(setup.index), *_step(setup)]
    indexing.make(indexing.parse_arguments(line))


def _step(setup: Setup) -> list[str]:
    return ["--step", setup.step] if setup.step else []
