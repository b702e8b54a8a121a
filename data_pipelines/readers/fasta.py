"""Reader for FASTA files, plain or gzip, one record at a time in bounded memory."""

import re
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.item import MAX_LETTERS, TOO_LONG, Item
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

MAX_NAME = 1000

_PIR = re.compile(rb">(P1|F1|DL|DC|RL|RC|N1|N3);(.*)")
_PIR_PROTEINS = (b"P1", b"F1")

_BLOCK = 10
"""Residues between spaces, as GenBank and UniProt print them."""

WRAPPED = "its first sequence line looks like words, as if the header was wrapped: {!r}"


def read_fasta(path: Path) -> Iterator[Item]:
    """Yields the records of a FASTA file, in file order.

    Sequence lines are joined as written, without outer white space except around residue numbers.
    The id is the first word after `>` ('' if missing). The name is the rest of the header, at most
    `MAX_NAME` bytes in any encoding. Of NCBI headers joined by byte 1, the first one counts. A PIR
    header (`>P1;ID`) has its name on the next line. Blank lines and comment lines (`;`) are
    ignored. A record has a fault and no text if it exceeds `MAX_LETTERS`, is a PIR nucleic acid, or
    has a header that continues on the next line.

    Raises:
      UserError: the file is unreadable, truncated, not text, has text before its first `>`, or has
        no records.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.fasta"
        >>> _ = path.write_text(">P1 Widgetase\\nMKV\\nLLA\\n")
        >>> [(item.id, item.name, item.text) for item in read_fasta(path)]
        [('P1', 'Widgetase', 'MKVLLA')]
    """
    header, letters, size, title_follows = None, [], 0, False
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            line = line.strip()
            if line.startswith(b">"):
                if header is not None:
                    yield _record(header, letters, size)
                header, title_follows = _header(line, number, path)
                letters, size = [], 0
            elif title_follows:
                header, title_follows = header._replace(name=_name(line)), False
            elif line and not line.startswith(b";"):
                if header is None:
                    raise UserError(
                        f"{path} is not a FASTA file: line {number} is {line[:20]!r}; expected a "
                        "header that starts with '>'."
                    )
                size += len(line)
                if size <= MAX_LETTERS:
                    letters.append(decoded(line, number, path))
    if header is None:
        raise UserError(f"{path} has no FASTA records; expected header lines that start with '>'.")
    yield _record(header, letters, size)


def _header(line: bytes, number: int, path: Path) -> tuple[Item, bool]:
    """Parses a header line; also returns whether the next line is a title."""
    if pir := _PIR.fullmatch(line):
        kind, id = pir.groups()
        fault = "" if kind in _PIR_PROTEINS else "it is a nucleic acid"
        return Item(decoded(id.strip(), number, path), "", number, fault), True
    words = line[1:].partition(b"\x01")[0].split(maxsplit=1)
    # Only the id must be UTF-8; the rest may be in any encoding.
    id = decoded(words[0], number, path) if words else ""
    return Item(id, "", number, name=_name(words[1]) if len(words) > 1 else ""), False


def _name(text: bytes) -> str:
    return text[:MAX_NAME].decode(errors="replace")


def _record(header: Item, letters: list[str], size: int) -> Item:
    if header.fault:
        return header
    if size > MAX_LETTERS:
        return header._replace(fault=TOO_LONG)
    if _goes_on(letters):
        return header._replace(fault=WRAPPED.format(letters[0][:60]))
    return header._replace(text="".join(map(_joinable, letters)))


def _joinable(line: str) -> str:
    """Pads a line so that a number at either end does not run into its neighbours."""
    before, after = (" " if end.isdigit() else "" for end in (line[0], line[-1]))
    return f"{before}{line}{after}"


def _goes_on(lines: list[str]) -> bool:
    """Whether the first line is probably the rest of a header that an editor or mail wrapped.

    That is so if it consists of words and the following lines do not. A full line of soft-masked
    residues and blocks of ten residues do not count as words.
    """
    words = lines[0].split() if lines else []
    if len(lines) < 2 or (len(words) == 1 and lines[0].isupper()):
        return False
    rest = "".join(lines[1:])
    if any(map(str.islower, rest)) or any(map(str.isspace, rest)):
        return False
    if len(words) == 1:
        return len(lines[0]) < len(lines[1])
    *full, last = map(len, words)
    return full != [_BLOCK] * len(full) or last > _BLOCK
