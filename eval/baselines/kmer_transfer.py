"""k-mer transfer: lends each protein the biotext of the nearest training protein by k-mers.

Reference proteins and pool proteins are vectors of 3-mer counts weighted by inverse document
frequency; the nearest reference by cosine lends its biotext, and that is compared with each
candidate biotext by the cosine of their words, weighted likewise. Both frequencies are those of
the reference records.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import Splits
from data_pipelines.protanno.record import Record, biotext
from eval.baselines.bags import (
    AMINO_ACIDS,
    counted,
    inverse_document_frequency,
    kmer_ids,
    unit_rows,
    word_ids,
)

MAX_REFERENCES = 50_000
QUERIES_AT_ONCE = 256


class References(NamedTuple):
    """Training proteins and what is said about them."""

    sequences: list[str]
    texts: list[str]


def read_references(splits: Splits) -> References:
    """The sequences and biotexts of `reference_records`."""
    records = reference_records(splits)
    return References([record.sequence for record in records], list(map(biotext, records)))


def reference_records(splits: Splits) -> list[Record]:
    """The training records with text, evenly thinned to `MAX_REFERENCES`."""
    training = [
        source.without_features() for name, source in sorted(splits.items()) if name not in HELD_OUT
    ]
    ends = np.cumsum([len(source) for source in training], dtype=np.int64)
    total = int(ends[-1]) if training else 0
    positions = np.linspace(0, total - 1, min(total, MAX_REFERENCES)).astype(np.int64)
    found = []
    for position in progress(positions.tolist(), description="training records", unit="records"):
        part = int(ends.searchsorted(position, side="right"))
        record = training[part][position - int(ends[part])]
        if biotext(record):
            found.append(record)
    return found


def tf_idf(
    references: Sequence[np.ndarray], queries: Sequence[np.ndarray], *, size: int
) -> tuple[csr_array, csr_array]:
    """Turns documents of term ids into unit tf-idf rows.

    Term ids are below `size`; frequencies are the references'.
    """
    counts, of_queries = counted(references, size), counted(queries, size)
    weights = inverse_document_frequency(counts)
    return unit_rows(counts, weights), unit_rows(of_queries, weights)


def nearest_references(references: References, sequences: Sequence[str]) -> Int[np.ndarray, " N"]:
    """For each sequence the index of the reference whose 3-mers are most similar."""
    of_references = [kmer_ids(s) for s in references.sequences]
    of_sequences = [kmer_ids(s) for s in sequences]
    table, queries = tf_idf(of_references, of_sequences, size=len(AMINO_ACIDS) ** 3)
    chunks = range(0, len(sequences), QUERIES_AT_ONCE)
    return np.concatenate(
        [
            (queries[start : start + QUERIES_AT_ONCE] @ table.T).toarray().argmax(1)
            for start in chunks
        ]
    )


def annotation_transfer(
    references: References, records: Sequence[Record], texts: Sequence[str]
) -> Float[np.ndarray, "N M"]:
    """Scores N proteins against M biotexts by the words of the nearest reference's biotext.

    The similarity is a cosine.
    """
    vocabulary: dict[str, int] = {}
    known = [word_ids(text, vocabulary) for text in references.texts]
    candidates = [word_ids(text, vocabulary) for text in texts]
    nearest = nearest_references(references, [record.sequence for record in records])
    transferred, candidates = tf_idf(known, candidates, size=len(vocabulary))
    return (transferred[nearest] @ candidates.T).toarray()
