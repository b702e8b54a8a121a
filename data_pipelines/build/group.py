"""What becomes of the records of one range of hashes: identical sequences are merged, excluded ones
left out, the rest ordered.

All entries of a sequence give one record, the first by `rank` as it is: no property of one entry is
mixed into another, since each describes the protein of its own organism at its own level of
evidence. Where the others went is kept as a list of merges.
"""

import dataclasses
import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt8, UInt16, UInt64

from data_pipelines.build import minhash
from data_pipelines.build.cluster_files import ClusterUnits
from data_pipelines.build.exclude import files_with
from data_pipelines.build.spill import Spilled
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import CLUSTERS, sequence_unit
from data_pipelines.protanno.dataset import decode_without_features, encode_record
from data_pipelines.protanno.questions import Questions
from data_pipelines.protanno.record import SOURCES, Record, biotext, cluster_name, coverage

_UNKNOWN_EXISTENCE = 6
"""Where records of unknown existence rank among the levels 1…5: last."""

_CODES = {name: code for code, name in enumerate(CLUSTERS)}


def rank(record: Record) -> tuple:
    """Sorts records of one sequence, the one to keep first: confidence, then coverage, then
    Swiss-Prot, then accession."""
    existence = record.existence or _UNKNOWN_EXISTENCE
    return (
        existence,
        -coverage(record),
        SOURCES.index(record.source),
        record.accession,
        record.entry_name,
    )


def spilled(record: Record) -> Spilled:
    """A record as it travels between the steps."""
    return Spilled(hash64(record.sequence), encode_record(record))


class Kept(NamedTuple):
    """A sequence's record: without its features, which only `data` holds."""

    hash: int
    record: Record
    data: bytes

    @property
    def order(self) -> tuple:
        """Its place in a dataset; sequences tell apart those that share a hash."""
        return self.hash, self.record.sequence


class Merge(NamedTuple):
    """An entry that is no record of its own, as its sequence is that of another."""

    accession: str
    source: str
    kept: str
    """The other's accession."""
    kept_source: str


def deduplicate(records: Iterable[Spilled]) -> tuple[list[Kept], list[Merge]]:
    """One record for each sequence, the first by `rank`, in the order of the hashes; and what was
    merged into them.

    Both depend on the set of the records alone, not on their order.
    """
    best: dict[str, Kept] = {}
    others: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for hash_, data in records:
        new = Kept(hash_, decode_without_features(data), data)
        sequence = new.record.sequence
        old = best.setdefault(sequence, new)
        if old is not new:
            # Entries that rank the same are different versions of one: their bytes decide.
            first, second = sorted((old, new), key=lambda kept: (rank(kept.record), kept.data))
            best[sequence] = first
            others[sequence].append((second.record.accession, second.record.source))
    kept = sorted(best.values(), key=lambda kept: kept.order)
    merges = [
        Merge(*other, each.record.accession, each.record.source)
        for each in kept
        for other in sorted(others.get(each.record.sequence, ()))
    ]
    return kept, merges


@dataclasses.dataclass(frozen=True)
class Group:
    """The records of a range of hashes in their order, n of them.

    Attributes:
      records: encoded.
      hashes: of their sequences, ascending.
      clusters: the place of each one's (source, C, R) cluster in `CLUSTERS`.
      accessions: `hash64` of each one's.
      units: what goes to a split as a whole with it.
      sketches: MinHash sketches, [n, 128]; without any, [n, 0].
      residues, words: the length of each sequence, and of each biotext in words.
      unclustered: records that the file of similarity clusters does not name; 0 without one.
      answering: records that the file of questions names.
      merges: entries of the same sequences.
      excluded: accession and file name of each record left out because its sequence is in a
        benchmark file, which need not be in one file only.
    """

    records: list[bytes]
    hashes: UInt64[np.ndarray, " n"]
    clusters: UInt8[np.ndarray, " n"]
    accessions: UInt64[np.ndarray, " n"]
    units: UInt64[np.ndarray, " n"]
    sketches: UInt16[np.ndarray, "n hashes"]
    residues: np.ndarray
    words: np.ndarray
    unclustered: int
    answering: int
    merges: list[Merge]
    excluded: list[tuple[str, tuple[str, ...]]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grouping:
    """How to group: the same for all ranges.

    Attributes:
      cluster_units: the similarity clusters of a file, by accession.
      excluded: as `exclude.read_excluded` gives it.
      questions: as `questions.load_questions` gives them.
      said: by whom, of the same form.
      sketch: whether to make MinHash sketches.
    """

    cluster_units: ClusterUnits
    excluded: Mapping[int, tuple[str, ...]]
    questions: Questions = dataclasses.field(default_factory=dict)
    said: Questions = dataclasses.field(default_factory=dict)
    sketch: bool

    @functools.cached_property
    def answering(self) -> frozenset[str]:
        """The accessions that the questions name."""
        return frozenset().union(
            *(names for asked in self.questions.values() for names in asked.values())
        )

    def group(self, records: Iterable[Spilled]) -> Group:
        """What becomes of the records of a range."""
        unique, merges = deduplicate(records)
        excluded, kept = [], []
        for each in unique:
            if files := files_with(each.record.sequence, self.excluded):
                excluded.append((each.record.accession, files))
            else:
                kept.append(each)
        sequences = [each.record.sequence for each in kept]
        accessions = np.array([hash64(each.record.accession) for each in kept], np.uint64)
        units, unclustered = self._units(sequences, accessions)
        return Group(
            records=[each.data for each in kept],
            hashes=np.array([each.hash for each in kept], np.uint64),
            clusters=np.array([_CODES[cluster_name(each.record)] for each in kept], np.uint8),
            accessions=accessions,
            units=units,
            unclustered=unclustered,
            answering=sum(each.record.accession in self.answering for each in kept),
            sketches=minhash.sketches(sequences)
            if self.sketch
            else np.zeros((len(kept), 0), np.uint16),
            residues=np.array([len(sequence) for sequence in sequences], np.int64),
            words=np.array([len(biotext(each.record).split()) for each in kept], np.int64),
            merges=merges,
            excluded=excluded,
        )

    def _units(
        self, sequences: Sequence[str], accessions: UInt64[np.ndarray, " n"]
    ) -> tuple[UInt64[np.ndarray, " n"], int]:
        own = np.array([sequence_unit(sequence) for sequence in sequences], np.uint64)
        units, found = self.cluster_units.find(accessions)
        unclustered = int(np.count_nonzero(~found)) if len(self.cluster_units.accessions) else 0
        return np.where(found, units, own), unclustered
