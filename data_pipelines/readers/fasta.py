"""FASTA files, plain or gzip, one record at a time in bounded memory."""

from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.item import MAX_LETTERS, TOO_LONG, Item
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

MAX_NAME = 1000


def read_fasta(path: Path) -> Iterator[Item]:
    """The records of a FASTA file in its order, sequences as written (lines joined, their outer white space dropped).

    The id is the first word after `>`, '' where there is none; the rest of the header is the name, at most `MAX_NAME` bytes of
    it, whatever their encoding. Blank lines and comment lines (`;`) may stand anywhere. A record of more than `MAX_LETTERS` has
    a fault and no text.

    Raises:
      UserError: the file is unreadable or cut off, is no text, has text before its first `>`, or has no record.
    """
    header, letters, size = None, [], 0
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            line = line.strip()
            if line.startswith(b">"):
                if header is not None:
                    yield _record(header, letters, size)
                words = line[1:].split(maxsplit=1)
                # Only the id must be UTF-8: people write anything behind it.
                name = words[1][:MAX_NAME].decode(errors="replace") if len(words) > 1 else ""
                header, letters, size = Item(decoded(words[0], number, path) if words else "", "", number, name=name), [], 0
            elif line and not line.startswith(b";"):
                if header is None:
                    raise UserError(f"{path} is no FASTA file: line {number} is {line[:20]!r}, before any '>' line.")
                size += len(line)
                if size <= MAX_LETTERS:
                    letters.append(decoded(line, number, path))
    if header is None:
        raise UserError(f"{path} holds no FASTA record: no line begins with '>'.")
    yield _record(header, letters, size)


def _record(header: Item, letters: list[str], size: int) -> Item:
    return header._replace(fault=TOO_LONG) if size > MAX_LETTERS else header._replace(text="".join(letters))
