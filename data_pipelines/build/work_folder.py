"""What lies on disk between the steps of a build: records and arrays of each range of hashes.

Every process of a build sees the folder, on a cluster through a shared file system.
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
"""Encoded records of a range, about; grouping them takes a few times as much memory."""

_GZIP_RATIO = 6
"""About how many times smaller UniProt's files are when compressed."""


@dataclasses.dataclass(frozen=True)
class WorkFolder:
    """A folder for the files between the steps.

    Attributes:
      path: an empty folder at first, removed by the caller.
      partition_bits: of the spilled records.
    """

    path: Path
    partition_bits: int

    @property
    def spill(self) -> Spill:
        """The records that were read."""
        return Spill(self.path / "spill", self.partition_bits)

    @property
    def shards(self) -> Path:
        """Where the dataset's files are written, before they get their place."""
        return self.path / "shards"

    def part(self, position: int, name: str) -> Path:
        """One of the files of the range at `position` in the order of the ranges."""
        return self.path / "groups" / f"{position}.{name}"

    def load(self, position: int, name: str) -> np.ndarray:
        """An array of a range.

        `hashes`, `accessions` (hashes too), `clusters`, `units`, `ends` (byte offsets),
        `sketches`, `codes` (splits).
        """
        return np.load(self.part(position, f"{name}.npy"))

    def load_all(self, ranges: int, name: str) -> np.ndarray:
        """The same array of all ranges, one after the other."""
        return np.concatenate([self.load(position, name) for position in range(ranges)])

    def save(self, position: int, name: str, array: np.ndarray) -> None:
        """Keeps an array of a range."""
        np.save(self.part(position, f"{name}.npy"), array)

    def save_group(self, position: int, records: Iterable[Spilled]) -> Grouped:
        """Groups the records of a range and keeps the result. Returns its counts."""
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
        """Some encoded records of a range."""
        ends = self.load(position, "ends")
        with open(self.part(position, "records"), "rb") as file:
            for index in indices:
                file.seek(ends[index])
                yield file.read(ends[index + 1] - ends[index])

    def concatenate(self, ranges: int, name: str, file: BinaryIO) -> None:
        """Copies the lines of all ranges (`merged.tsv`, `excluded.tsv`) into one file."""
        for position in range(ranges):
            with open(self.part(position, name), "rb") as part:
                shutil.copyfileobj(part, file)


def _merged_lines(group: Group) -> Iterator[str]:
    """Accession and source of an entry, then those of the record that its sequence has."""
    return ("\t".join(merge) + "\n" for merge in group.merges)


def _excluded_lines(group: Group) -> Iterator[str]:
    """The accession of a record, and the names of the files that hold its sequence."""
    return ("\t".join((accession, *files)) + "\n" for accession, files in group.excluded)


def prepare(path: Path, grouping: Grouping, *, inputs: Sequence[Path]) -> WorkFolder:
    """Lays out an existing folder for a build of `inputs`; all processes find in it how to
    group."""
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
    """About how many bytes of text a file holds; a wrong guess costs a little time and no
    memory."""
    return path.stat().st_size * (_GZIP_RATIO if path.suffix == ".gz" else 1)


@functools.lru_cache(maxsize=1)
def _grouping(path: Path) -> Grouping:
    """What `prepare` was given; the clusters stay on disk and are shared by the processes."""
    options = json.loads((path / "grouping.json").read_text(encoding="utf-8"))
    arrays = (np.load(path / f"{name}.npy", mmap_mode="r") for name in ("accessions", "units"))
    excluded = {key: tuple(names) for key, names in options["excluded"]}
    return Grouping(
        cluster_units=ClusterUnits(*arrays),
        excluded=excluded,
        questions=load_questions(path),
        sketch=options["sketch"],
    )
