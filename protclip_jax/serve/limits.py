"""What one server takes on, so that no visitor can make it slow, large or silent for the others."""

import dataclasses

MOST_RESIDUES = 200_000
"""Of `Limits.residues`: several times the longest protein that is known, and bodies of less than
half a megabyte."""
BYTES_A_RESIDUE = 2
"""In a request: sequences are printed in lines and blocks, and some in gaps."""
ENVELOPE_BYTES = 1 << 12
"""Of a request beside its sequence and texts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
      waiting: requests that wait for the model; one more is answered 429.
      batch_tokens: of the requests that are computed together, but for one that has more by itself.
      seconds: until a request that has not been answered is answered 504.
      residues, text_letters, prompts, top: of a question.
    """

    waiting: int = 64
    batch_tokens: int = 4096
    seconds: float = 60.0
    residues: int = 5000
    text_letters: int = 4000
    prompts: int = 16
    top: int = 200

    @property
    def body_bytes(self) -> int:
        """The most that a request's body may have: room for the longest protein and for as many
        texts as are averaged, in letters of one byte."""
        return BYTES_A_RESIDUE * self.residues + self.prompts * self.text_letters + ENVELOPE_BYTES
