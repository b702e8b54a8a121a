"""Guesses masked residues by position alone: the most frequent residue at that distance.

The distance is to the nearer end.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

NEAR = 40
"""Residues from either end with their own guess; all between them share one."""


class PositionGuess(NamedTuple):
    """The most frequent residue, as ASCII, by the place in `places`: uint8 [2 · NEAR + 1]."""

    residues: UInt8[np.ndarray, " P"]

    def at(self, mask: Bool[np.ndarray, " L"]) -> UInt8[np.ndarray, " M"]:
        """The guesses at a protein's masked positions, in order."""
        return self.residues[places(len(mask))[mask]]


def places(length: int) -> Int[np.ndarray, " L"]:
    """Position classes by the nearer end.

    0 … NEAR − 1 from the start, NEAR in the middle, NEAR + 1 … 2 · NEAR towards the end.
    """
    start = np.arange(length)
    end = length - 1 - start
    near_start, near_end = (start < NEAR) & (start <= end), (end < NEAR) & (end < start)
    return np.where(near_start, start, np.where(near_end, 2 * NEAR - end, NEAR))


def fit_positions(sequences: Sequence[str]) -> PositionGuess:
    """Counts residues by class; a class without residues takes the most frequent of all."""
    counts = np.zeros((2 * NEAR + 1, 256), np.int64)
    for sequence in sequences:
        letters = np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)
        np.add.at(counts, (places(len(letters)), letters), 1)
    everywhere = counts.sum(0).argmax()
    return PositionGuess(np.where(counts.any(1), counts.argmax(1), everywhere).astype(np.uint8))
