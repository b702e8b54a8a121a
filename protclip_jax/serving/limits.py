"""What one server takes on, so that no visitor can make it slow, large or silent for the others."""

import dataclasses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Limits:
    """The limits of a server.

    Attributes:
      waiting: requests that wait for the model; one more is answered 429.
      batch: requests that are computed together.
      seconds: until a request that has not been answered is answered 504.
      body_bytes, body_seconds: of a request's body, and for it to arrive.
      header_seconds: for a request's headers to arrive.
      residues, text_letters, prompts, top: of a question.
    """

    waiting: int = 64
    batch: int = 32
    seconds: float = 60.0
    body_bytes: int = 1 << 16
    body_seconds: float = 10.0
    header_seconds: float = 10.0
    residues: int = 5000
    text_letters: int = 4000
    prompts: int = 16
    top: int = 200
