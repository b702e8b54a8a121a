"""Features of a sequence without a model, for baselines: its composition and its k-mers.

Both are called like an embedder: sequences in, float32 [n, D] in their order out.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from eval.baselines.bags import AMINO_ACIDS, kmer_ids

KMER_COLUMNS = 2048
"""The number of columns that the 8,000 3-mers share by hashing.

Few enough for a ridge regression in seconds, and mutants of a protein rarely collide.
"""
_HASH = np.uint32(2654435761)
"""2³² divided by the golden ratio.

Knuth, The Art of Computer Programming, volume 3, section 6.4.
"""


def composition(sequences: Sequence[str]) -> Float32[np.ndarray, "n 20"]:
    """Share of each amino acid among a sequence's letters, columns as in `AMINO_ACIDS`."""
    counts = np.array([list(map(s.count, AMINO_ACIDS)) for s in sequences], np.float32)
    lengths = np.array([len(sequence) for sequence in sequences], np.float32)
    return counts.reshape(-1, len(AMINO_ACIDS)) / lengths[:, None]


def kmer_frequencies(sequences: Sequence[str]) -> Float32[np.ndarray, "n 2048"]:
    """Counts of 3-mers hashed to `KMER_COLUMNS`, scaled to unit norm; zeros without any 3-mer."""
    frequencies = np.zeros((len(sequences), KMER_COLUMNS), np.float32)
    for row, sequence in zip(frequencies, sequences, strict=True):
        hashed = kmer_ids(sequence).astype(np.uint32) * _HASH >> np.uint32(
            32 - KMER_COLUMNS.bit_length() + 1
        )
        row += np.bincount(hashed, minlength=KMER_COLUMNS)
        row /= max(1.0, np.linalg.norm(row))
    return frequencies
