"""Proteins longer than the tower was trained on: cut, taken whole, or read through overlapping
windows."""

import dataclasses

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError

POLICIES = ("windows", "truncate", "whole")


@dataclasses.dataclass(frozen=True)
class Windows:
    """How a protein of more than `max_residues` residues is read.

    Attributes:
      policy: `windows` = overlapping stretches, each encoded as a protein of its own, every residue
        represented by the mean over the stretches that hold it; `truncate` = the first
        `max_residues` only; `whole` = all at once.
      max_residues: 1022, with `<cls>` and `<eos>` the 1024 tokens that ESM-2 and ProtCLIP were
        trained on.
      overlap: residues that neighbouring windows have in common, at least.
    """

    policy: str = "windows"
    max_residues: int = 1022
    overlap: int = 256

    def __post_init__(self):
        if self.policy not in POLICIES:
            raise UserError(
                f"'{self.policy}' is no way to read long proteins; use one of "
                f"{', '.join(POLICIES)}."
            )
        if self.max_residues < 1:
            raise UserError(f"max_residues={self.max_residues} must be at least 1.")
        if not 0 <= self.overlap < self.max_residues:
            raise UserError(
                f"overlap={self.overlap} must lie between 0 and max_residues - 1 = "
                f"{self.max_residues - 1}."
            )

    def is_long(self, residues: int) -> bool:
        """Whether a protein of so many residues is not read at once as it is."""
        return self.policy != "whole" and residues > self.max_residues

    def pieces(self, residues: int) -> list[slice]:
        """The stretches in which a protein of so many residues is encoded, evenly spread from
        its start to its end."""
        if not self.is_long(residues):
            return [slice(0, residues)]
        if self.policy == "truncate":
            return [slice(0, self.max_residues)]
        count = -(-(residues - self.overlap) // (self.max_residues - self.overlap))
        starts = np.linspace(0, residues - self.max_residues, count).round().astype(int).tolist()
        return [slice(start, start + self.max_residues) for start in starts]

    def around(self, residues: int, index: int) -> slice | None:
        """The stretch of a protein of so many residues in which the residue `index` is read best.

        It has the residue in its middle, or as near to it as the protein's ends allow; None where
        the policy does not read the residue.
        """
        if not self.is_long(residues):
            return slice(0, residues)
        if self.policy == "truncate":
            return slice(0, self.max_residues) if index < self.max_residues else None
        start = min(max(0, index - self.max_residues // 2), residues - self.max_residues)
        return slice(start, start + self.max_residues)


DEFAULT_WINDOWS = Windows()


def piece_weights(pieces: list[slice]) -> list[Float[np.ndarray, " _"]]:
    """Per piece, the share of each of its tokens `<cls>` residues `<eos>` in the mean over all
    pieces of a protein.

    A residue in c pieces counts 1/c in each; the special tokens of n pieces 1/n. So the weighted
    sum over all pieces is the sum over one `<cls>`, every residue once, and one `<eos>`.
    """
    covered = np.zeros(pieces[-1].stop, np.float32)
    for piece in pieces:
        covered[piece] += 1
    return [
        np.pad(1 / covered[piece], 1, constant_values=1 / len(pieces)).astype(np.float32)
        for piece in pieces
    ]
