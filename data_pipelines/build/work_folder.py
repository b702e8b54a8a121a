"""Files between the steps of a build: the records and arrays of each range of hashes.

All processes of a build access the folder, on a cluster through a shared file system.
"""

import dataclasses
import functools
import json
import shutil
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from data_pipelines.build.cluster_files import ClusterUnits
from data_pipelines.build.counts import Grouped
from data_pipelines.build.group import Group, Grouping
from data_pipelines.build.spill import Spill, Spilled, partition_bits_for
from data_pipelines.protanno.questions import load_questions, save_questions

RANGE_BYTES = 64 << 20
"""Approximate size of a range's encoded records; grouping takes a few times as much memory."""

_GZIP_RATIO = 6
"""Approximate compression ratio of UniProt's files."""


@dataclasses.dataclass(frozen=True)
class WorkFolder:
    """A folder for intermediate files.

    Attributes:
      path: initially empty; the caller removes it.
      partition_bits: log2 of the number of partitions of spilled records.
    """

    path: Path
    partition_bits: int

    @property
    def spill(self) -> Spill:
        """The records read so far."""
        return Spill(self.path / "spill", self.partition_bits)

    @property
    def shards(self) -> Path:
        """The folder where dataset files are written before they are moved to their place."""
        return self.path / "shards"

    def part(self, position: int, name: str) -> Path:
        """The path of a file of the range at `position`."""
        return self.path / "groups" / f"{position}.{name}"

    def load(self, position: int, name: str) -> np.ndarray:
        """Loads an array of a range.

        Arrays are `hashes`, `accessions` (hashes too), `clusters`, `units`, `ends` (byte offsets),
        `sketches` and `codes` (splits).
        """
        return np.load(self.part(position, f"{name}.npy"))

    def load_all(self, ranges: int, name: str) -> np.ndarray:
        """Loads an array of all ranges, concatenated."""
        return np.concatenate([self.load(position, name) for position in range(ranges)])

    def save(self, position: int, name: str, array: np.ndarray) -> None:
        """Saves an array of a range."""
        np.save(self.part(position, f"{name}.npy"), array)

    def save_group(self, position: int, records: Iterable[Spilled]) -> Grouped:
        """Groups the records of a range, saves the result, and returns its counts."""
        group = _grouping(self.path).group(records)
        with open(self.part(position, "records"), "wb") as file:
            file.writelines(group.records)
        self.save(position, "ends", np.cumsum([0, *map(len, group.records)]))
        for name in ("hashes", "accessions", "clusters", "units", "sketches"):
            self.save(position, name, getattr(group, name))
        self.part(position, "merged.tsv").write_text(
            "".join(_merged_lines(group)), encoding="utf-8"
        )
        self.part(position, "excluded.tsv").write_text(
            "".join(_excluded_lines(group)), encoding="utf-8"
        )
        return Grouped.count(group)

    def records(self, position: int, indices: Iterable[int]) -> Iterator[bytes]:
        """Yields selected encoded records of a range."""
        ends = self.load(position, "ends")
        with open(self.part(position, "records"), "rb") as file:
            for index in indices:
                file.seek(ends[index])
                yield file.read(ends[index + 1] - ends[index])

    def concatenate(self, ranges: int, name: str, file: BinaryIO) -> None:
        """Appends the lines of all ranges (`merged.tsv`, `excluded.tsv`) to one file."""
        for position in range(ranges):
            with open(self.part(position, name), "rb") as part:
                shutil.copyfileobj(part, file)


def _merged_lines(group: Group) -> Iterator[str]:
    """Yields accession and source of each merged entry, then those of the kept record."""
    return ("\t".join(merge) + "\n" for merge in group.merges)


def _excluded_lines(group: Group) -> Iterator[str]:
    """Yields the accession of each excluded record and the files that contain its sequence."""
    return ("\t".join((accession, *files)) + "\n" for accession, files in group.excluded)


def prepare(path: Path, grouping: Grouping, *, inputs: Sequence[Path]) -> WorkFolder:
    """Prepares an existing folder for a build of `inputs`, with the grouping for all processes."""
    size = sum(_plain_bytes(file) for file in inputs if file.is_file())
    for name in ("spill", "groups", "shards"):
        (path / name).mkdir()
    np.save(path / "accessions.npy", grouping.cluster_units.accessions)
    np.save(path / "units.npy", grouping.cluster_units.units)
    options = {"sketch": grouping.sketch, "excluded": list(grouping.excluded.items())}
    save_questions(path, grouping.questions)
    (path / "grouping.json").write_text(json.dumps(options), encoding="utf-8")
    return WorkFolder(path, partition_bits_for(size, partition_bytes=RANGE_BYTES))


def _plain_bytes(path: Path) -> int:
    """Estimates the uncompressed size; a bad estimate costs a little time but no memory."""
    return path.stat().st_size * (_GZIP_RATIO if path.suffix == ".gz" else 1)


@functools.lru_cache(maxsize=1)
def _grouping(path: Path) -> Grouping:
    """Loads what `prepare` saved; processes share the clusters, which stay on disk."""
    options = json.loads((path / "grouping.json").read_text(encoding="utf-8"))
    arrays = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("accessions", "units"))
    excluded = {key: tuple(names) for key, names in options["excluded"]}
    return Grouping(
        cluster_units=ClusterUnits(*arrays),
        excluded=excluded,
        questions=load_questions(path),
        sketch=options["sketch"],
    )
