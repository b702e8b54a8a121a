"""Cutting JSON into the objects that are its entries: JSON lines, an array, or a search answer
`{"results": [...]}`."""

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
"""How the entries begin that UniProt and the makers of ProtAnno write; nothing within an entry
does."""
_ANSWER = re.compile(rb'\s*+(?:\[|\{\s*+"(?:results|facets)"\s*+:)')
_EMPTY_ANSWER = re.compile(rb'\s*+(?:\[\s*+\]|\{\s*+"results"\s*+:\s*+\[\s*+\]\s*+\})\s*+\Z')
_RESULTS = re.compile(rb'"results"\s*+:\s*+\[\s*+\Z')
_CLOSED = re.compile(rb'\]\s*+(?:,\s*+"obsoleteCount"\s*+:\s*+\d++\s*+)?\}?\s*+\Z')
_BRACE = re.compile(rb'(?:[^"{}]++|"(?:[^"\\]++|\\.)*+")*+([{}])', re.DOTALL)

NO_END = "the file ends before its closing bracket"
_CHUNK_BYTES = 1 << 18


def objects(content: BinaryIO, path: Path) -> Iterator[Piece]:
    """The objects of a stream as they stand, in bounded memory; whether they are sound JSON shows
    when they are parsed.

    JSON lines are cut at the line ends, and entries that begin as UniProt's do at those beginnings:
    a broken one does not touch the others. In other files braces are counted, and an entry that
    does not close takes the rest with it.

    Args:
      content: the content of the file at `path`. If that is named `*.jsonl` it has JSON lines,
        unless it begins as an array or a search answer; else its first line tells.

    Raises:
      UserError: the file does not begin with a brace or bracket.
    """
    head = content.read(_CHUNK_BYTES).removeprefix(b"\xef\xbb\xbf")
    if head.strip() and not head.lstrip().startswith((b"{", b"[")):
        raise UserError(
            f"{path} is no JSON of entries: it begins with {head.lstrip()[:20]!r}, not with "
            "a brace or bracket."
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
    """A stream whose beginning was read already."""

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
    """Behind the last object no line and no other object begins; if it is cut off, it does not
    parse."""
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
    depth = outer = (
        0  # Braces open, and how many of them are around the entries: one in a search answer.
    )
    # What has no brace is looked at again with every chunk, so these grow with it.
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
