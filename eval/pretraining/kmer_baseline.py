"""A baseline without learning: give a protein the biotext of the training protein with the most similar k-mers.

Reference proteins and pool proteins are vectors of 3-mer counts weighted by inverse document frequency; the nearest
reference by cosine lends its biotext, and that is compared with each candidate biotext by the cosine of their words,
weighted likewise. Both frequencies are those of the reference records.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

from data_pipelines.common.progress import progress
from data_pipelines.protanno.dataset import Splits
from data_pipelines.protanno.record import Record, biotext

K = 3
AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
HELD_OUT = ("validation", "test")
MAX_REFERENCES = 50_000
QUERIES_AT_ONCE = 256

_CODES = np.full(256, -1, np.int64)
_CODES[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(len(AMINO_ACIDS))


class References(NamedTuple):
    """Training proteins and what is said about them."""

    sequences: list[str]
    texts: list[str]


def read_references(splits: Splits) -> References:
    """The training records of a dataset; of more than `MAX_REFERENCES` an evenly spaced choice of so many."""
    training = [source.without_features() for name, source in sorted(splits.items()) if name not in HELD_OUT]
    ends = np.cumsum([len(source) for source in training], dtype=np.int64)
    total = int(ends[-1]) if training else 0
    positions = np.linspace(0, total - 1, min(total, MAX_REFERENCES)).astype(np.int64)
    records = []
    for position in progress(positions.tolist(), description="k-mer baseline", unit="records"):
        part = int(ends.searchsorted(position, side="right"))
        records.append(training[part][position - int(ends[part])])
    return References([record.sequence for record in records], [biotext(record) for record in records])


def kmer_ids(sequence: str) -> Int[np.ndarray, " T"]:
    """The 3-mers of a sequence as integers in base 20; those with a letter beyond the 20 residues are left out."""
    codes = _CODES[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    windows = np.lib.stride_tricks.sliding_window_view(codes, K) if codes.size >= K else np.zeros((0, K), np.int64)
    return windows[(windows >= 0).all(1)] @ len(AMINO_ACIDS) ** np.arange(K)


def words(text: str) -> list[str]:
    """The lower-case words of a text."""
    return re.findall(r"[a-z0-9]+", text.lower())


def tf_idf(references: Sequence[np.ndarray], queries: Sequence[np.ndarray], *, size: int) -> tuple[csr_array, csr_array]:
    """Documents, given as term ids below `size`, to unit rows of count · (ln((1 + n) / (1 + df)) + 1) of the n references."""
    counts = [_count(documents, size) for documents in (references, queries)]
    frequencies = np.bincount(counts[0].indices, minlength=size)
    weights = np.log((1 + len(references)) / (1 + frequencies)) + 1
    return _unit_rows(counts[0], weights), _unit_rows(counts[1], weights)


def _count(documents: Sequence[np.ndarray], size: int) -> csr_array:
    ends = np.cumsum([0, *(document.size for document in documents)])
    terms = np.concatenate([np.zeros(0, np.int64), *documents])
    counts = csr_array((np.ones(terms.size), terms, ends), shape=(len(documents), size))
    counts.sum_duplicates()
    return counts


def _unit_rows(counts: csr_array, weights: Float[np.ndarray, " T"]) -> csr_array:
    weighted = counts.multiply(weights).tocsr()
    norms = np.sqrt(weighted.multiply(weighted).sum(1))
    return weighted.multiply(1 / np.maximum(norms, 1e-12)[:, None]).tocsr()


def nearest_references(references: References, sequences: Sequence[str]) -> Int[np.ndarray, " N"]:
    """For each sequence the index of the reference whose 3-mers are most similar."""
    table, queries = tf_idf([kmer_ids(s) for s in references.sequences], [kmer_ids(s) for s in sequences], size=20**K)
    chunks = range(0, len(sequences), QUERIES_AT_ONCE)
    return np.concatenate([(queries[start : start + QUERIES_AT_ONCE] @ table.T).toarray().argmax(1) for start in chunks])


def annotation_transfer(references: References, records: Sequence[Record], texts: Sequence[str]) -> Float[np.ndarray, "N M"]:
    """Scores of N proteins against M biotexts: cosine of words between the nearest reference's biotext and each text."""
    vocabulary: dict[str, int] = {}
    said, candidates = (
        [np.array([vocabulary.setdefault(word, len(vocabulary)) for word in words(text)], np.int64) for text in group]
        for group in (references.texts, texts)
    )
    nearest = nearest_references(references, [record.sequence for record in records])
    transferred, candidates = tf_idf(said, candidates, size=len(vocabulary))
    return (transferred[nearest] @ candidates.T).toarray()
