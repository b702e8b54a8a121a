"""Base class of tab-separated source formats; the header distinguishes them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.pieces import TOO_LONG, pieces
from data_pipelines.readers.uniprot.entry import RawEntry, decode, printable
from data_pipelines.readers.uniprot.source_format import SourceFormat


class TableFormat(SourceFormat):
    """A table with one protein per line. Column names are lower-case here."""

    suffixes = (".tsv",)
    required: ClassVar[tuple[str, ...]]
    """The columns that identify the format."""
    required_text: ClassVar[str]
    """The same columns in an error message."""
    columns: ClassVar[tuple[str, ...]] = ()
    """All allowed columns; () allows any."""

    def split(self, path: Path) -> Iterator[RawEntry]:
        """Yields the rows, one per line; skips blank lines."""
        return self.split_shared(path, [self])

    def split_shared(self, path: Path, formats: Sequence["TableFormat"]) -> Iterator[RawEntry]:
        """Yields the rows, marked with the format that recognises the header."""
        columns = name = None
        with open_bytes(path) as content:
            for line, text, problem in pieces(content, _line_end):
                if not text.strip():
                    continue
                if columns is None:
                    columns = _columns(text, path)
                    name = _recognised(columns, path, formats).name
                    continue
                # The last line may lack a line break.
                problem = problem if problem == TOO_LONG else ""
                yield RawEntry(name, path.name, line, text, problem, columns)
        if columns is None:
            raise UserError(f"{path} has no entries: the file is empty.")


def _line_end(buffer: bytes, start: int, look_from: int) -> int:
    return buffer.find(b"\n", look_from) + 1


def _columns(header: bytes, path: Path) -> tuple[str, ...]:
    text = decode(header.removeprefix(b"\xef\xbb\xbf")).rstrip("\r\n")
    columns = tuple(name.strip().lower() for name in text.split("\t"))
    if twice := {name for name in columns if name and columns.count(name) > 1}:
        raise UserError(f"{path} has the column {printable(min(twice))} twice; keep one of them.")
    return columns


def _recognised(
    columns: tuple[str, ...],
    path: Path,
    formats: Sequence[TableFormat],
) -> TableFormat:
    """Returns the format that has these columns and knows all of them."""
    found = next((format for format in formats if set(format.required) <= set(columns)), None)
    if found is None:
        expected = " or ".join([format.required_text for format in formats])
        named = printable(", ".join(columns))[:300]
        raise UserError(
            f"{path} is not a table of proteins: its header has {named}; expected {expected}."
        )
    if found.columns and (unknown := set(columns) - set(found.columns)):
        name, known = printable(min(unknown)), ", ".join(found.columns)
        raise UserError(f"{path} has an unknown column {name}; expected some of {known}.")
    return found
