"""Reads proteins longer than the tower's training length: cut, whole, or in overlapping windows."""

import dataclasses

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError

POLICIES = ("windows", "truncate", "whole")


@dataclasses.dataclass(frozen=True)
class Windows:
    """How proteins of more than `max_residues` residues are read.

    Attributes:
      policy: `windows` encodes overlapping stretches as separate proteins and averages each
        residue's vectors over the stretches that contain it; `truncate` reads the first
        `max_residues` only; `whole` reads everything at once.
      max_residues: 1022, which with `<cls>` and `<eos>` are the 1024 tokens that ESM-2 and ProtCLIP
        were trained on.
      overlap: minimum number of residues that neighbouring windows share.
    """

    policy: str = "windows"
    max_residues: int = 1022
    overlap: int = 256

    def __post_init__(self):
        if self.policy not in POLICIES:
            raise UserError(
                f"unknown policy '{self.policy}' for long proteins; expected one of "
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
        """Whether a protein of `residues` residues has to be cut or split."""
        return self.policy != "whole" and residues > self.max_residues

    def pieces(self, residues: int) -> list[slice]:
        """The stretches in which a protein of `residues` residues is encoded, evenly spaced."""
        if not self.is_long(residues):
            return [slice(0, residues)]
        if self.policy == "truncate":
            return [slice(0, self.max_residues)]
        count = -(-(residues - self.overlap) // (self.max_residues - self.overlap))
        starts = np.linspace(0, residues - self.max_residues, count).round().astype(int).tolist()
        return [slice(start, start + self.max_residues) for start in starts]

    def around(self, residues: int, index: int) -> slice | None:
        """The best stretch to read the residue `index` in, for a protein of `residues` residues.

        The residue is in its middle, or as close to it as the ends of the protein allow. None if
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
    """The weights of each piece's tokens (`<cls>` residues `<eos>`) in a sum over all pieces.

    A residue in c pieces has weight 1/c in each; the special tokens of n pieces have 1/n. So the
    weighted sum over all pieces counts every residue once, one `<cls>`, and one `<eos>`.
    """
    covered = np.zeros(pieces[-1].stop, np.float32)
    for piece in pieces:
        covered[piece] += 1
    return [
        np.pad(1 / covered[piece], 1, constant_values=1 / len(pieces)).astype(np.float32)
        for piece in pieces
    ]
