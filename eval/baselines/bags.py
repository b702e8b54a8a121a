"""Proteins as bags of k-mers and texts as bags of words, for baselines without a network."""

import re
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"

_CODES = np.full(256, -1, np.int64)
_CODES[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(len(AMINO_ACIDS))


def kmer_ids(sequence: str, k: int = 3) -> Int[np.ndarray, " T"]:
    """The k-mers of a sequence as integers in base 20.

    Those with a letter beyond the 20 residues are left out.
    """
    codes = _CODES[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    windows = (
        np.lib.stride_tricks.sliding_window_view(codes, k)
        if codes.size >= k
        else np.zeros((0, k), np.int64)
    )
    return windows[(windows >= 0).all(1)] @ len(AMINO_ACIDS) ** np.arange(k)


def words(text: str) -> list[str]:
    """The lower-case words of a text."""
    return re.findall(r"[a-z0-9]+", text.lower())


def word_ids(text: str, vocabulary: dict[str, int]) -> Int[np.ndarray, " T"]:
    """The ids of a text's words; new words are added to the vocabulary."""
    ids = [vocabulary.setdefault(word, len(vocabulary)) for word in words(text)]
    return np.array(ids, np.int64)


def counted(documents: Sequence[Int[np.ndarray, " _"]], size: int) -> csr_array:
    """Documents, given as term ids below `size`, to rows of counts [documents, size]."""
    ends = np.cumsum([0, *(document.size for document in documents)])
    terms = np.concatenate([np.zeros(0, np.int64), *documents])
    counts = csr_array((np.ones(terms.size), terms, ends), shape=(len(documents), size))
    counts.sum_duplicates()
    return counts


def inverse_document_frequency(counts: csr_array) -> Float[np.ndarray, " T"]:
    """ln((1 + n) / (1 + df)) + 1 of each term, df of the n documents having it."""
    frequencies = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log((1 + counts.shape[0]) / (1 + frequencies)) + 1


def unit_rows(counts: csr_array, weights: Float[np.ndarray, " T"]) -> csr_array:
    """Weights counts by term and scales each row to norm 1; an empty row stays empty."""
    weighted = counts.multiply(weights).tocsr()
    norms = np.sqrt(weighted.multiply(weighted).sum(1))
    return weighted.multiply(1 / np.maximum(norms, 1e-12)[:, None]).tocsr()
