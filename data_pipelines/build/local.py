"""Runs a build in several processes on this machine; memory use does not grow with the input.

Records are spilled to disk while they are read, then grouped one range of hashes at a time.
"""

import contextlib
import dataclasses
import functools
import itertools
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from data_pipelines.build import work_folder
from data_pipelines.build.counts import Grouped, InputCounts
from data_pipelines.build.reading import Parsed, batches, parse_batch, take_stock
from data_pipelines.build.spill import HashRange, Spill
from data_pipelines.build.work_folder import WorkFolder
from data_pipelines.common.processes import OrderedMap, worker_processes
from data_pipelines.common.progress import progress
from data_pipelines.readers import RawEntry


@dataclasses.dataclass(frozen=True)
class LocalRunner:
    """A driver of `build`.

    Attributes:
      map: computes tasks in the worker processes.
    """

    map: OrderedMap

    def read(
        self, inputs: Sequence[Path], folder: WorkFolder, *, rejects: Path
    ) -> tuple[InputCounts, Grouped, int]:
        """Reads and groups all inputs and writes the rejects; see `Runner.read`."""
        all_batches = itertools.chain.from_iterable(map(batches, inputs))
        parsed = self.map(functools.partial(_spill_batch, folder.spill), all_batches)
        reading = take_stock(parsed, rejects=rejects, inputs=inputs)
        ranges = folder.spill.ranges(max_bytes=work_folder.RANGE_BYTES)
        counted = self.map(functools.partial(_group_range, folder), enumerate(ranges))
        bar = progress(counted, description="group", unit="ranges", total=len(ranges))
        grouped = functools.reduce(Grouped.__add__, bar)
        # The spill is as large as the dataset.
        shutil.rmtree(folder.spill.directory)
        return reading, grouped, len(ranges)


def _spill_batch(spill: Spill, batch: Iterable[RawEntry]) -> Parsed:
    records, parsed = parse_batch(batch)
    spill.append(records)
    return parsed


def _group_range(folder: WorkFolder, task: tuple[int, HashRange]) -> Grouped:
    position, hash_range = task
    return folder.save_group(position, folder.spill.read(hash_range))


@contextlib.contextmanager
def local_runner(workers: int) -> Iterator[LocalRunner]:
    """Creates a driver with `workers` processes; 1 runs everything in this process.

    Raises:
      UserError: a worker process was killed.
    """
    with worker_processes(workers) as ordered_map:
        yield LocalRunner(ordered_map)
