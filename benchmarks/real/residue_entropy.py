"""Baselines for masked language modelling: unigram and bigram models of residues."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Float, Int

from eval.baselines.bags import AMINO_ACIDS, kmer_ids

SIZE = len(AMINO_ACIDS)


def counts(sequences: Iterable[str]) -> tuple[Int[np.ndarray, " 20"], Int[np.ndarray, "20 20"]]:
    """Counts of the standard residues, and of each residue (column) after each other (row)."""
    single, pairs = np.zeros(SIZE, np.int64), np.zeros(SIZE**2, np.int64)
    for sequence in sequences:
        single += np.bincount(kmer_ids(sequence, 1), minlength=SIZE)
        pairs += np.bincount(kmer_ids(sequence, 2), minlength=SIZE**2)
    # The first residue is the last digit of a k-mer's number.
    return single, pairs.reshape(SIZE, SIZE).T


def cross_entropies(training: Iterable[str], held_out: Iterable[str]) -> dict[str, float]:
    """`unigram` and `bigram` loss of held-out sequences, in nats per residue.

    The probabilities are the frequencies in training with one added to each count.
    """
    single, pairs = counts(training)
    single_held_out, pairs_held_out = counts(held_out)
    by_residue, after = _log_shares(single + 1), _log_shares(pairs + 1)
    return {
        "unigram": float(-(single_held_out * by_residue).sum() / single_held_out.sum()),
        "bigram": float(-(pairs_held_out * after).sum() / pairs_held_out.sum()),
    }


def _log_shares(counted: Int[np.ndarray, "*rows 20"]) -> Float[np.ndarray, "*rows 20"]:
    return np.log(counted / counted.sum(-1, keepdims=True))
