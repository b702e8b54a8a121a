"""Limits on requests, so that no visitor can make the server slow or block it for others."""

import dataclasses

MOST_RESIDUES = 200_000
"""The maximum of `Limits.residues`: several times the longest known protein.

Request bodies then stay below half a megabyte.
"""
BYTES_A_RESIDUE = 2
"""Bytes of a request per residue: sequences may contain line breaks, blanks and gaps."""
ENVELOPE_BYTES = 1 << 12
"""Bytes of a request besides its sequence and texts."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
      waiting: maximum number of requests that wait for the model; further ones get 429.
      batch_tokens: maximum tokens of requests computed together; a larger request runs alone.
      seconds: timeout after which a request gets 504.
      residues, text_letters, prompts, top: maxima of a query.
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
        """The maximum size of a request body.

        It fits the longest protein, and the maximum number of prompts in letters of one byte.
        """
        return BYTES_A_RESIDUE * self.residues + self.prompts * self.text_letters + ENVELOPE_BYTES
