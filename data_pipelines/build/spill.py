"""Spills encoded records to disk by ranges of sequence hashes, to process one range at a time.

Identical sequences fall into the same range. All ranges, in order, give all records in hash order.
"""

import dataclasses
import itertools
import os
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

HASH_BITS = 64
MAX_PARTITIONS = 1024

_HEADER = struct.Struct("<QI")
"""Hash and length of the following record."""


class Spilled(NamedTuple):
    """A record as `protanno.encode_record` writes it, and the `hash64` of its sequence."""

    hash: int
    data: bytes


class HashRange(NamedTuple):
    """The hashes start ≤ hash < stop of one partition."""

    partition: int
    start: int
    stop: int


@dataclasses.dataclass(frozen=True)
class Spill:
    """A folder of records in partitions, which are equal ranges of hashes.

    Several processes may append to it.

    Attributes:
      directory: an existing folder; each process has its own folder in it, with one file per
        partition.
      partition_bits: log2 of the number of partitions.
    """

    directory: Path
    partition_bits: int

    def partition(self, hash_: int) -> int:
        """The partition of a hash: its leading bits."""
        return hash_ >> (HASH_BITS - self.partition_bits)

    def append(self, records: Iterable[Spilled]) -> None:
        """Adds records, with one write per partition."""
        parts = defaultdict(bytearray)
        for hash_, data in records:
            part = parts[self.partition(hash_)]
            part += _HEADER.pack(hash_, len(data))
            part += data
        folder = self.directory / str(os.getpid())
        # Without its parents: a process that outlives a killed build must not recreate the removed
        # folder.
        folder.mkdir(exist_ok=True)
        for partition, part in parts.items():
            with open(folder / str(partition), "ab") as file:
                file.write(part)

    def ranges(self, *, max_bytes: int) -> list[HashRange]:
        """Lists all ranges in hash order, each with about `max_bytes` of records.

        Larger partitions are divided.
        """
        width = 1 << (HASH_BITS - self.partition_bits)
        result = []
        for partition in range(1 << self.partition_bits):
            size = sum(path.stat().st_size for path in self._files(partition))
            pieces = max(1, -(-size // max_bytes))
            edges = [partition * width + width * piece // pieces for piece in range(pieces + 1)]
            result += [HashRange(partition, *edge) for edge in itertools.pairwise(edges)]
        return result

    def read(self, hash_range: HashRange) -> Iterator[Spilled]:
        """Yields the records of a range in no particular order."""
        for path in self._files(hash_range.partition):
            with open(path, "rb") as file:
                while header := file.read(_HEADER.size):
                    hash_, length = _HEADER.unpack(header)
                    data = file.read(length)
                    if hash_range.start <= hash_ < hash_range.stop:
                        yield Spilled(hash_, data)

    def _files(self, partition: int) -> list[Path]:
        return sorted(self.directory.glob(f"*/{partition}"))


def partition_bits_for(size: int, *, partition_bytes: int) -> int:
    """The `partition_bits` for partitions of about `partition_bytes`, at most `MAX_PARTITIONS`."""
    partitions = min(MAX_PARTITIONS, max(1, -(-size // partition_bytes)))
    return (partitions - 1).bit_length()
