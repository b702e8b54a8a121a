"""Cuts a stream into entries in bounded memory, with any rule for their ends."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

MAX_BYTES = 1 << 24
"""Limit per entry: many times the longest known. A longer one keeps its first `KEPT_BYTES`."""

TOO_LONG = f"it is longer than {MAX_BYTES >> 20} MiB"
UNFINISHED = "the file ends in the middle of it"

_CHUNK_BYTES = 1 << 18
KEPT_BYTES = 1 << 16
_MARK_BYTES = 1 << 8
"""Longer than any mark, to find one across the border of two chunks."""


class Piece(NamedTuple):
    """A section of the stream."""

    line: int
    """1-based line of its first byte."""
    text: bytes
    problem: str = ""
    """`TOO_LONG`, `UNFINISHED` (last piece of a stream that does not end with a mark), or ''."""


FindEnd = Callable[[bytes, int, int], int]
"""(buffer, start of the piece, where to search from) → its end, or -1 if the buffer lacks it."""


def pieces(content: BinaryIO, find_end: FindEnd) -> Iterator[Piece]:
    """Cuts a stream after every end that `find_end` finds.

    Joined, the pieces give the whole stream, except for pieces that are too long.
    """
    buffer, start, line, skipping = b"", 0, 1, False
    look_from = 0
    while True:
        while (end := find_end(buffer, start, max(look_from, start))) > 0:
            if not skipping:
                yield Piece(line, buffer[start:end])
            line += buffer.count(b"\n", start, end)
            start, skipping, look_from = end, False, 0
        if len(buffer) - start > MAX_BYTES:
            if not skipping:
                yield Piece(line, buffer[start : start + KEPT_BYTES], TOO_LONG)
            line += buffer.count(b"\n", start, len(buffer) - _MARK_BYTES)
            start, skipping = len(buffer) - _MARK_BYTES, True
        look_from = max(len(buffer) - start - _MARK_BYTES, 0)
        if not (chunk := content.read(_CHUNK_BYTES)):
            break
        buffer, start = buffer[start:] + chunk, 0
    if start < len(buffer) and not skipping:
        yield Piece(line, buffer[start:], UNFINISHED)
