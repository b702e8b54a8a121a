"""Cutting a stream into entries in bounded memory, whatever marks their ends."""

from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

MAX_BYTES = 1 << 24
"""Of one entry: many times the longest known. What is left of a longer one is its first
`KEPT_BYTES`."""

TOO_LONG = f"it is longer than {MAX_BYTES >> 20} MiB"
UNFINISHED = "the file ends before it does"

_CHUNK_BYTES = 1 << 18
KEPT_BYTES = 1 << 16
_MARK_BYTES = 1 << 8
"""Longer than any mark, so that one at the border of two chunks is found."""


class Piece(NamedTuple):
    """A stretch of the stream."""

    line: int
    """1-based, of its first byte."""
    text: bytes
    problem: str = ""
    """`TOO_LONG`, `UNFINISHED` (the last piece of a stream that does not end with a mark), or
    ''."""


FindEnd = Callable[[bytes, int, int], int]
"""(buffer, where the piece starts, where to look from) → where it ends, or -1 if the buffer does
not hold its end."""


def pieces(content: BinaryIO, find_end: FindEnd) -> Iterator[Piece]:
    """Cuts a stream behind every end that `find_end` sees; together the pieces are the stream,
    but for those too long."""
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
