"""Splits jobs into parts of a run, one file of scores each; no two parts read the same pass."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from protclip_jax.inference.variant_effects import passes_of
from protclip_jax.inference.windows import Windows
from protclip_jax.variants.jobs import Job


class Piece(NamedTuple):
    """Consecutive variants of a job."""

    job: int
    """Index into the jobs."""
    start: int
    stop: int


class Part(NamedTuple):
    """Consecutive pieces, and the number of tokens that the model reads for them."""

    pieces: list[Piece]
    tokens: int

    def digest(self, jobs: Sequence[Job]) -> str:
        """64-bit hash (hex) of the part's content."""
        own = [(jobs[p.job].sequence, jobs[p.job].variants[p.start : p.stop]) for p in self.pieces]
        return hashlib.blake2b(json.dumps(own).encode(), digest_size=8).hexdigest()


def parts(
    jobs: Sequence[Job],
    *,
    method: str,
    windows: Windows,
    with_text: bool,
    min_tokens: int,
) -> Iterator[Part]:
    """Splits all variants in order; a part ends at the variant that brings it to `min_tokens`.

    If later variants of the protein read a pass of the part, it ends after those. `with_text` also
    counts the reading of each variant's own sequence.
    """
    pieces, tokens = [], 0
    for number, job in enumerate(jobs):
        reads = [
            passes_of(job.sequence, own, method=method, windows=windows) for own in job.variants
        ]
        last = {}
        for row, of_variant in enumerate(reads):
            last |= dict.fromkeys(of_variant, row)
        start, seen, open_until = 0, set(), 0
        for row, of_variant in enumerate(reads):
            new = set(of_variant) - seen
            tokens += sum(one.stop - one.start + 2 for one in new)
            tokens += len(job.sequence) + 2 if with_text else 0
            seen |= new
            open_until = max([open_until, *(last[one] for one in new)])
            if tokens >= min_tokens and open_until <= row:
                yield Part([*pieces, Piece(number, start, row + 1)], tokens)
                pieces, tokens, start, seen = [], 0, row + 1, set()
        if start < len(reads):
            pieces.append(Piece(number, start, len(reads)))
    if pieces:
        yield Part(pieces, tokens)
