"""Groups the records of one hash range: merges duplicates, drops excluded ones, sorts the rest.

Of all entries with the same sequence, the first one by `rank` is kept unchanged. Properties of
different entries are never mixed, because each entry describes the protein of its own organism at
its own level of evidence. A list of merges says which entries were dropped.
"""

import dataclasses
import functools
import itertools
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
"""The rank of unknown existence among the levels 1…5: last."""

_CODES = {name: code for code, name in enumerate(CLUSTERS)}


def rank(record: Record) -> tuple:
    """Sort key for records of one sequence; the smallest is kept.

    Order: confidence, then coverage, then Swiss-Prot before others, then accession.
    """
    existence = record.existence or _UNKNOWN_EXISTENCE
    return (
        existence,
        -coverage(record),
        SOURCES.index(record.source),
        record.accession,
        record.entry_name,
    )


def spilled(record: Record) -> Spilled:
    """Encodes a record for the following steps."""
    return Spilled(hash64(record.sequence), encode_record(record))


class Kept(NamedTuple):
    """The record kept for a sequence, without features; those are only in `data`."""

    hash: int
    record: Record
    data: bytes

    @property
    def order(self) -> tuple:
        """Sort key in a dataset; the sequence breaks ties between equal hashes."""
        return self.hash, self.record.sequence


class Merge(NamedTuple):
    """An entry dropped because another record has its sequence."""

    accession: str
    source: str
    kept: str
    """Accession of the kept record."""
    kept_source: str


def deduplicate(records: Iterable[Spilled]) -> tuple[list[Kept], list[Merge]]:
    """Keeps one record per sequence, the first by `rank`, in the order of the hashes.

    Also returns the merged entries. Both depend only on the set of records, not on its order.
    """
    best: dict[str, Kept] = {}
    others: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for hash_, data in records:
        new = Kept(hash_, decode_without_features(data), data)
        sequence = new.record.sequence
        old = best.setdefault(sequence, new)
        if old is not new:
            # Entries of equal rank are versions of the same entry; their bytes decide.
            first, second = sorted((old, new), key=lambda kept: (rank(kept.record), kept.data))
            best[sequence] = first
            others[sequence].append((second.record.accession, second.record.source))
    kept = sorted(best.values(), key=lambda kept: kept.order)
    merges = []
    for each in kept:
        source = each.record.accession, each.record.source
        dropped = sorted(others.get(each.record.sequence, ()))
        merges += [Merge(*other, *source) for other in dropped]
    return kept, merges


@dataclasses.dataclass(frozen=True)
class Group:
    """The n records of a range of hashes, in order.

    Attributes:
      records: encoded records.
      hashes: hashes of their sequences, ascending.
      clusters: indices of their (source, C, R) clusters in `CLUSTERS`.
      accessions: `hash64` of their accessions.
      units: units that go to a split as a whole.
      sketches: MinHash sketches, [n, 128]; [n, 0] if not needed.
      residues, words: lengths of the sequences, and of the biotexts in words.
      unclustered: number of records missing from the similarity cluster file; 0 without a file.
      answering: number of records in the question file.
      merges: dropped entries with the same sequences.
      excluded: accession and file names of each record left out because its sequence is in one or
        more benchmark files.
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
    """How to group; the same for all ranges.

    Attributes:
      cluster_units: the similarity clusters of a file, by accession.
      excluded: as returned by `exclude.read_excluded`.
      questions: as returned by `questions.load_questions`.
      said: the same, for the answers that proteins' own texts give.
      sketch: whether to compute MinHash sketches.
    """

    cluster_units: ClusterUnits
    excluded: Mapping[int, tuple[str, ...]]
    questions: Questions = dataclasses.field(default_factory=dict)
    said: Questions = dataclasses.field(default_factory=dict)
    sketch: bool

    @functools.cached_property
    def answering(self) -> frozenset[str]:
        """The accessions that occur in the questions."""
        by_question = itertools.chain.from_iterable(map(dict.values, self.questions.values()))
        return frozenset().union(*by_question)

    def group(self, records: Iterable[Spilled]) -> Group:
        """Groups the records of a range."""
        unique, merges = deduplicate(records)
        excluded: list[tuple[str, tuple[str, ...]]] = []
        kept: list[Kept] = []
        for each in unique:
            if files := files_with(each.record.sequence, self.excluded):
                excluded.append((each.record.accession, files))
            else:
                kept.append(each)
        records = [each.record for each in kept]
        sequences = [record.sequence for record in records]
        accessions = np.array([hash64(record.accession) for record in records], np.uint64)
        hashes = [each.hash for each in kept]
        clusters = [_CODES[cluster_name(record)] for record in records]
        words = [len(biotext(record).split()) for record in records]
        units, unclustered = self._units(sequences, accessions)
        return Group(
            records=[each.data for each in kept],
            hashes=np.array(hashes, np.uint64),
            clusters=np.array(clusters, np.uint8),
            accessions=accessions,
            units=units,
            unclustered=unclustered,
            answering=sum(map(self._answers, records)),
            sketches=self._sketches(sequences),
            residues=np.array(list(map(len, sequences)), np.int64),
            words=np.array(words, np.int64),
            merges=merges,
            excluded=excluded,
        )

    def _answers(self, record: Record) -> bool:
        return record.accession in self.answering

    def _sketches(self, sequences: Sequence[str]) -> UInt16[np.ndarray, "n hashes"]:
        if self.sketch:
            return minhash.sketches(sequences)
        return np.zeros((len(sequences), 0), np.uint16)

    def _units(
        self, sequences: Sequence[str], accessions: UInt64[np.ndarray, " n"]
    ) -> tuple[UInt64[np.ndarray, " n"], int]:
        own = np.array([sequence_unit(sequence) for sequence in sequences], np.uint64)
        units, found = self.cluster_units.find(accessions)
        unclustered = int(np.count_nonzero(~found)) if len(self.cluster_units.accessions) else 0
        return np.where(found, units, own), unclustered
