"""Runs a build as Apache Beam pipelines on Dataflow, Flink or Spark; needs `apache-beam`.

Reading and grouping are one pipeline: paths → batches → records by partition → groups. Each later
step, whose tasks work on a few files each, is a small pipeline. The workers access the inputs and
the work folder, which lies in the output folder, through a shared file system. A partition is
grouped in the memory of one worker. Only the DirectRunner was tested; it keeps everything in
memory.
"""

import contextlib
import dataclasses
import functools
import itertools
import logging
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from data_pipelines.build import results
from data_pipelines.build.counts import Grouped, InputCounts
from data_pipelines.build.reading import batches, parse_batch, take_stock
from data_pipelines.build.spill import Spilled
from data_pipelines.build.work_folder import WorkFolder
from data_pipelines.common.errors import UserError
from data_pipelines.common.extras import missing_extra
from data_pipelines.readers import RawEntry

try:
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as error:
    raise missing_extra("--runner beam needs apache-beam", "beam", error) from error

_STEP = re.compile(r" \[while running '.*")
"""The suffix that Beam adds to the message of an exception."""

_RECORDS, _PARSED = "records", "parsed"


@dataclasses.dataclass(frozen=True)
class BeamRunner:
    """A driver of `build`.

    Attributes:
      options: options of Beam's pipelines, as on the command line.
      results: an existing folder, shared with the workers.
    """

    options: tuple[str, ...]
    results: Path

    def read(
        self, inputs: Sequence[Path], folder: WorkFolder, *, rejects: Path
    ) -> tuple[InputCounts, Grouped, int]:
        """Reads and groups all inputs and writes the rejects; see `Runner.read`."""
        partitions = range(1 << folder.partition_bits)
        parsed_folder, grouped_folder = self._new_folder(), self._new_folder()
        with self._pipeline() as pipeline:
            parsed = (
                pipeline
                | "inputs" >> beam.Create(list(enumerate(inputs)))
                | "one worker a file" >> beam.Reshuffle()
                | "split" >> beam.FlatMap(_numbered_batches)
                | "one worker a batch" >> beam.Reshuffle()
                | "parse" >> beam.FlatMap(_parse, folder).with_outputs(_RECORDS, _PARSED)
            )
            _ = parsed[_PARSED] | "keep what was parsed" >> beam.Map(_keep, parsed_folder)
            # Partitions without records are groups too.
            everywhere = pipeline | "partitions" >> beam.Create(
                [(partition, None) for partition in partitions]
            )
            _ = (
                (parsed[_RECORDS], everywhere)
                | beam.Flatten()
                | "gather" >> beam.GroupByKey()
                | "group" >> beam.Map(_group, folder)
                | "keep counts" >> beam.Map(_keep, grouped_folder)
            )
        reading = take_stock(_kept(parsed_folder), rejects=rejects)
        return reading, functools.reduce(Grouped.__add__, _kept(grouped_folder)), len(partitions)

    def map(self, function: Callable, tasks: Iterable) -> Iterator:
        """Applies a function to each task and yields the results in task order."""
        folder = self._new_folder()
        with self._pipeline() as pipeline:
            _ = (
                pipeline
                | beam.Create([((number,), task) for number, task in enumerate(tasks)])
                | "one worker a task" >> beam.Reshuffle()
                | "compute" >> beam.Map(_compute, function)
                | "keep" >> beam.Map(_keep, folder)
            )
        return _kept(folder)

    @contextlib.contextmanager
    def _pipeline(self) -> Iterator["beam.Pipeline"]:
        try:
            with beam.Pipeline(options=PipelineOptions(list(self.options))) as pipeline:
                yield pipeline
        except UserError as error:
            raise UserError(_STEP.sub("", str(error))) from error

    def _new_folder(self) -> Path:
        return Path(tempfile.mkdtemp(dir=self.results))


def _numbered_batches(task: tuple[int, Path]) -> Iterator[tuple[tuple[int, int], list[RawEntry]]]:
    """Yields the batches of a file with their position in the input."""
    number, path = task
    return (((number, position), batch) for position, batch in enumerate(batches(path)))


def _parse(task: tuple[tuple[int, int], list[RawEntry]], folder: WorkFolder) -> Iterator:
    position, batch = task
    records, parsed = parse_batch(batch)
    yield beam.pvalue.TaggedOutput(_PARSED, (position, parsed))
    for record in records:
        # Beam has coders for plain tuples.
        yield beam.pvalue.TaggedOutput(
            _RECORDS, (folder.spill.partition(record.hash), tuple(record))
        )


def _group(
    task: tuple[int, Iterable[tuple[int, bytes] | None]], folder: WorkFolder
) -> tuple[tuple[int], Grouped]:
    partition, records = task
    return (partition,), folder.save_group(
        partition, itertools.starmap(Spilled, filter(None, records))
    )


def _compute(task: tuple[tuple[int], Any], function: Callable) -> tuple[tuple[int], Any]:
    number, argument = task
    return number, function(argument)


def _keep(numbered: tuple[tuple[int, ...], Any], folder: Path) -> None:
    """Stores a result under its position for the main process; a repeated task replaces it."""
    position, result = numbered
    partial = Path(tempfile.mkdtemp(dir=folder.parent)) / "result"
    partial.write_text(results.to_text(result), encoding="utf-8")
    partial.rename(folder / "-".join(map(str, position)))


def _kept(folder: Path) -> Iterator:
    """Yields all results in the order of their positions."""
    positions = sorted(tuple(map(int, path.name.split("-"))) for path in folder.iterdir())
    return (
        results.from_text((folder / "-".join(map(str, position))).read_text(encoding="utf-8"))
        for position in positions
    )


@contextlib.contextmanager
def beam_runner(options: str, *, shared: Path) -> Iterator[BeamRunner]:
    """Creates a driver; `options` is one string, `shared` a folder that all workers can access.

    Raises:
      UserError: as raised by the steps.
    """
    logging.getLogger("apache_beam").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory(prefix="beam-", dir=shared) as folder:
        yield BeamRunner(tuple(options.split()), Path(folder))
