"""Cuts JSON into entry objects: JSON lines, an array, or a search response `{"results": [...]}`."""

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.pieces import (
    KEPT_BYTES,
    MAX_BYTES,
    TOO_LONG,
    UNFINISHED,
    Piece,
    pieces,
)

_MARK = re.compile(rb'\{\s*+"(?:entryType|primaryAccession|seq)"')
"""How entries from UniProt and the ProtAnno authors begin; nothing inside an entry does."""
_ANSWER = re.compile(rb'\s*+(?:\[|\{\s*+"(?:results|facets)"\s*+:)')
_EMPTY_ANSWER = re.compile(rb'\s*+(?:\[\s*+\]|\{\s*+"results"\s*+:\s*+\[\s*+\]\s*+\})\s*+\Z')
_RESULTS = re.compile(rb'"results"\s*+:\s*+\[\s*+\Z')
_CLOSED = re.compile(rb'\]\s*+(?:,\s*+"obsoleteCount"\s*+:\s*+\d++\s*+)?\}?\s*+\Z')
_BRACE = re.compile(rb'(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+([{}])', re.DOTALL)

NO_END = "the file ends before its closing bracket"
_CHUNK_BYTES = 1 << 18


def objects(content: BinaryIO, path: Path) -> Iterator[Piece]:
    """Yields the objects of a stream as raw text, in bounded memory; they are validated on parsing.

    JSON lines are cut at line ends. Entries that begin like UniProt's are cut at those beginnings,
    so a broken one does not affect the others. Other files are cut by counting braces, where an
    unclosed entry takes the rest with it.

    Args:
      content: the content of the file at `path`. A file named `*.jsonl` has JSON lines unless it
        begins like an array or a search response; for other names the first line decides.

    Raises:
      UserError: the file does not begin with a brace or bracket.
    """
    head = content.read(_CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf")
    if head.strip() and not head.lstrip().startswith((b"{", b"[")):
        raise UserError(
            f"{path} is not a JSON file of entries: it begins with {head.lstrip()[:20]!r}; "
            "expected a brace or bracket."
        )
    stream = _Rejoined(head, content)
    answer = _ANSWER.match(head)
    lines = path.name.removesuffix(".gz").endswith(".jsonl")
    if not answer and (lines or _is_object(head.lstrip().partition(b"\n")[0])):
        return (_to_its_end(piece) for piece in pieces(stream, _line_end) if piece.text.strip())
    if _EMPTY_ANSWER.match(head):
        return iter(())
    return _by_marks(stream, answer=bool(answer)) if _MARK.search(head) else _by_braces(stream)


class _Rejoined(io.RawIOBase):
    """A stream whose beginning has already been read."""

    def __init__(self, head: bytes, rest: BinaryIO):
        self._head, self._rest = head, rest

    def read(self, size: int = -1) -> bytes:
        head, self._head = self._head, b""
        return head or self._rest.read(size)


def _is_object(text: bytes) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _to_its_end(piece: Piece) -> Piece:
    """Clears `UNFINISHED`: the last object needs no mark; a truncated one fails to parse."""
    return piece._replace(problem="") if piece.problem == UNFINISHED else piece


def _line_end(buffer: bytes, start: int, look_from: int) -> int:
    return buffer.find(b"\n", look_from) + 1


def _next_mark(buffer: bytes, start: int, look_from: int) -> int:
    found = _MARK.search(buffer, max(look_from, start + 1))
    return found.start() if found else -1


def _by_marks(content: BinaryIO, *, answer: bool) -> Iterator[Piece]:
    last = Piece(1, b"")
    for last in pieces(content, _next_mark):
        if _MARK.match(last.text):
            yield _to_its_end(last)
    if answer and not _CLOSED.search(last.text):
        yield Piece(last.line, b"", NO_END)


def _by_braces(content: BinaryIO) -> Iterator[Piece]:
    buffer, position, start, line = b"", 0, -1, 1
    # `depth` counts open braces; `outer` is how many enclose the entries (1 in a search response).
    depth = outer = 0
    # Text without braces is scanned again with every chunk, so chunks grow with it.
    while chunk := content.read(max(_CHUNK_BYTES, len(buffer) // 4)):
        kept = position if start < 0 else start
        line += buffer.count(b"\n", 0, kept)
        buffer, position, start = buffer[kept:] + chunk, position - kept, min(start, 0)
        while brace := _BRACE.match(buffer, position):
            if brace[1] == b"}":
                depth = max(depth - 1, 0)
                if depth == outer and start >= 0:
                    yield Piece(line + buffer.count(b"\n", 0, start), buffer[start : brace.end()])
                    start = -1
                outer = min(outer, depth)
            else:
                if depth == 1 and _RESULTS.search(buffer, position, brace.start(1)):
                    outer = 1
                if depth == outer:
                    start = brace.start(1)
                depth += 1
            position = brace.end()
        if len(buffer) - (position if start < 0 else start) > MAX_BYTES:
            yield Piece(line, buffer[max(start, 0) :][:KEPT_BYTES], TOO_LONG)
            while content.read(_CHUNK_BYTES):
                pass
            return
    if start >= 0 or depth:
        yield Piece(line + buffer.count(b"\n", 0, max(start, 0)), buffer[max(start, 0) :], NO_END)
