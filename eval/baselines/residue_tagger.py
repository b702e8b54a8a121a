"""Locates a property's residues without text: from neighbouring residues and the ends.

A model that finds a property's place only as well as these has not read what the text says about
this protein.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.baselines.bags import AMINO_ACIDS

HALF_WINDOWS = (3, 7, 10)
"""Residues to either side that a tagger may look at; the choice is made on validation."""
FAR = 60
"""Distances to an end from here on are one."""
KYTE_DOOLITTLE = dict(
    zip(
        "ARNDCQEGHILKMFPSTWYV",
        (
            1.8,
            -4.5,
            -3.5,
            -3.5,
            2.5,
            -3.5,
            -3.5,
            -0.4,
            -3.2,
            4.5,
            3.8,
            -3.9,
            1.9,
            2.8,
            -1.6,
            -0.8,
            -0.7,
            -0.9,
            -1.3,
            4.2,
        ),
        strict=True,
    )
)
"""Hydropathy of a residue (Kyte & Doolittle 1982, table 2)."""
HYDROPATHY_WINDOW = 19
"""Residues that the paper averages to find membrane-spanning segments."""

_OTHER = len(AMINO_ACIDS)
"""The class of letters beyond the 20 residues, and of places beyond the ends."""
_CLASS = np.full(256, _OTHER, np.int64)
_CLASS[np.frombuffer(AMINO_ACIDS.encode(), np.uint8)] = np.arange(_OTHER)


class Tagger(NamedTuple):
    """Naive Bayes: log odds of a marked residue, summed over what is seen.

    Attributes:
      around: of the residue class at each offset −w … w.
      start, end: of the distance to either end.
    """

    around: Float[np.ndarray, "offsets 21"]
    start: Float[np.ndarray, " D"]
    end: Float[np.ndarray, " D"]

    def scores(self, sequence: str) -> Float[np.ndarray, " L"]:
        """How much more probably each residue is marked than not."""
        window, start, end = _seen(sequence, len(self.around) // 2)
        offsets = np.arange(len(self.around))[:, None]
        return self.around[offsets, window].sum(0) + self.start[start] + self.end[end]


def fit_tagger(examples: Iterable[tuple[str, Bool[np.ndarray, " _"]]], half_window: int) -> Tagger:
    """Counts what is seen at marked and at other residues, each count from one on (Laplace)."""
    around = np.ones((2, 2 * half_window + 1, _OTHER + 1))
    start, end = np.ones((2, FAR + 1)), np.ones((2, FAR + 1))
    offsets = np.arange(2 * half_window + 1)[:, None]
    for sequence, marked in examples:
        window, from_start, from_end = _seen(sequence, half_window)
        labels = marked.astype(int)
        np.add.at(around, (labels[None], offsets, window), 1)
        np.add.at(start, (labels, from_start), 1)
        np.add.at(end, (labels, from_end), 1)
    odds = [np.log(table / table.sum(-1, keepdims=True)) for table in (around, start, end)]
    return Tagger(*(table[1] - table[0] for table in odds))


def _seen(
    sequence: str, half_window: int
) -> tuple[Int[np.ndarray, "W L"], Int[np.ndarray, " L"], Int[np.ndarray, " L"]]:
    """Residue classes at each offset from each residue, and its distances to the ends."""
    classes = _CLASS[np.frombuffer(sequence.encode("latin-1", "replace"), np.uint8)]
    padded = np.pad(classes, half_window, constant_values=_OTHER)
    window = np.lib.stride_tricks.sliding_window_view(padded, len(classes))
    places = np.arange(len(classes))
    return window, np.minimum(places, FAR), np.minimum(places[::-1], FAR)


def hydropathy(sequence: str) -> Float[np.ndarray, " L"]:
    """The mean Kyte–Doolittle hydropathy of each residue's window, cut at the ends."""
    values = np.array([KYTE_DOOLITTLE.get(letter, 0.0) for letter in sequence])
    weights = np.ones(HYDROPATHY_WINDOW)
    return _centred(values, weights) / _centred(np.ones(len(values)), weights)


def _centred(values: Sequence[float], weights: Sequence[float]) -> Float[np.ndarray, " L"]:
    half = len(weights) // 2
    return np.convolve(values, weights)[half : half + len(values)]
