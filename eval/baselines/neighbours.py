"""Training proteins near a protein, in order, from which annotations are transferred.

Nearness comes from a file of hits (MMseqs2, or its profile search), from 3-mers, or from amino-acid
composition with length and organism. Transfer always answers: where the first neighbour lacks a
property, the next one that has it lends it; if no neighbour has it, the training frequencies
answer.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import Splits
from data_pipelines.protanno.record import PREFIXES, Record, property_texts
from data_pipelines.readers.hits import Hit, read_hits
from eval.baselines.bags import AMINO_ACIDS, kmer_ids
from eval.baselines.kmer_transfer import tf_idf

MAX_NEIGHBOURS = 50
"""The number of nearest neighbours kept per protein."""
KMER_NEIGHBOURS = 10
QUERIES_AT_ONCE = 256


class Neighbour(NamedTuple):
    """A training record with text and its weight: bits, or a similarity."""

    record: Record
    weight: float


Neighbours = Mapping[str, Sequence[Neighbour]]
"""By accession of a held-out protein, nearest first; proteins without neighbours may be missing."""


def training_records(splits: Splits, wanted: Collection[str] | None = None) -> Iterator[Record]:
    """Training records with text; of these accessions, or all."""
    names = [name for name in sorted(splits) if name not in HELD_OUT]
    for split in progress(
        [splits[name] for name in names], description="training records", unit="splits"
    ):
        for record in split.without_features():
            if (wanted is None or record.accession in wanted) and property_texts(record):
                yield record


def from_hits(path: Path, splits: Splits, queries: Collection[str]) -> Neighbours:
    """The hits of these held-out proteins to training records with text, by falling bits.

    Raises:
      UserError: the file is not of its form, or has no hit of a query to such a record.
    """
    names = frozenset(queries)
    hits: dict[str, list[Hit]] = defaultdict(list)
    for hit in read_hits(path):
        if hit.query in names:
            hits[hit.query].append(hit)
    wanted = {hit.target for found in hits.values() for hit in found}
    records = {record.accession: record for record in training_records(splits, wanted)}
    found = {}
    for query, own in hits.items():
        ordered = sorted(own, key=lambda hit: (-hit.bits, hit.target))
        # BLAST writes a line for each aligned stretch of a pair: the best one counts.
        best: dict[str, float] = {}
        for hit in ordered:
            best.setdefault(hit.target, hit.bits)
        kept = [Neighbour(records[name], bits) for name, bits in best.items() if name in records]
        if kept:
            found[query] = kept[:MAX_NEIGHBOURS]
    if not found:
        raise UserError(
            f"{path} has no hit of the {len(names)} held-out proteins to a training protein "
            "with text; make it from the FASTA "
            "files of `python -m data_pipelines.fasta` for this dataset."
        )
    return found


def by_kmers(references: Sequence[Record], queries: Sequence[Record]) -> Neighbours:
    """The references of the greatest tf-idf cosine of 3-mers."""
    of_references = [kmer_ids(record.sequence) for record in references]
    of_queries = [kmer_ids(record.sequence) for record in queries]
    table, rows = tf_idf(of_references, of_queries, size=len(AMINO_ACIDS) ** 3)
    similarities = (
        (rows[start : start + QUERIES_AT_ONCE] @ table.T).toarray()
        for start in range(0, len(queries), QUERIES_AT_ONCE)
    )
    return _nearest(references, queries, (row for part in similarities for row in part))


def by_composition(
    references: Sequence[Record], queries: Sequence[Record], *, organism: float
) -> Neighbours:
    """The references most similar in composition and length; a shared organism adds `organism`.

    The similarity is −½ of the squared distance of standardised shares and of the logarithm of the
    length.
    """
    known, unknown = _features(references), _features(queries)
    mean, spread = known.mean(0), known.std(0) + 1e-9
    known, unknown = (known - mean) / spread, (unknown - mean) / spread
    species = np.array([_species(record) for record in references])
    rows = (
        -0.5 * np.square(known - row).sum(1)
        + organism * ((species == _species(record)) & (species != ""))
        for row, record in zip(unknown, queries, strict=True)
    )
    return _nearest(references, queries, rows)


def _nearest(
    references: Sequence[Record], queries: Sequence[Record], rows: Iterator[np.ndarray]
) -> Neighbours:
    found = {}
    for record, row in zip(queries, rows, strict=True):
        order = np.argsort(-row, kind="stable")[:KMER_NEIGHBOURS]
        # Weights fall from 1: similarities have no common scale.
        found[record.accession] = [
            Neighbour(references[place], 1 / rank) for rank, place in enumerate(order.tolist(), 1)
        ]
    return found


def _features(records: Sequence[Record]) -> Float[np.ndarray, "n 21"]:
    rows = np.zeros((len(records), len(AMINO_ACIDS) + 1))
    for row, record in zip(rows, records, strict=True):
        counts = np.array([record.sequence.count(letter) for letter in AMINO_ACIDS], float)
        row[:-1] = counts / max(counts.sum(), 1)
        row[-1] = np.log(len(record.sequence))
    return rows


def _species(record: Record) -> str:
    """`HUMAN` of `INS_HUMAN`; '' if the entry name has no such part."""
    _, mark, species = record.entry_name.rpartition("_")
    return species if mark else ""


def transferred_texts(neighbours: Sequence[Neighbour]) -> dict[str, str]:
    """For each property the text of the first neighbour that has one.

    As in `record.property_texts`.
    """
    found: dict[str, str] = {}
    for neighbour in neighbours:
        found = property_texts(neighbour.record) | found
        if len(found) == len(PREFIXES):
            break
    return {name: found[name] for name in PREFIXES if name in found}
