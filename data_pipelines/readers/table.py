"""Reader for tables with a header line: CSV, and TSV as UniProt writes it, plain or gzip."""

import contextlib
import csv
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self

from data_pipelines.common.errors import UserError
from data_pipelines.readers.item import MAX_LETTERS, Item
from data_pipelines.readers.streams.cells import is_missing, unquoted
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

DIALECTS = {
    "csv": {"delimiter": ",", "strict": True},
    # Quotation marks are ordinary characters in TSV; an unclosed one would swallow the rest of the
    # file.
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}
MAX_ROW_BYTES = 1 << 25
ID_COLUMNS = ("id", "entry", "accession", "protein_id", "seq_id", "ec", "go")
"""Compared ignoring case."""


@contextlib.contextmanager
def open_table(path: Path, dialect: str | None = None) -> Iterator["Table"]:
    """Opens a table for a single pass.

    Args:
      dialect: `csv` (quoted fields may contain commas and line breaks) or `tsv` (no quoting). None
        selects TSV if the header line has a tab, else CSV.

    Raises:
      UserError: the file is unreadable, truncated, or not UTF-8; also within the context, while
        rows are read.
    """
    # One limit for the whole process; Python's own is below the longest sequences.
    csv.field_size_limit(MAX_LETTERS)
    with open_bytes(path) as content:
        yield Table(RowLines(content, path), path, dialect)


class Table:
    """An open table.

    Attributes:
      header: the cells of the first line that is not blank; empty for an empty file.
    """

    def __init__(self, lines: "RowLines", path: Path, dialect: str | None):
        self._lines, self._path = lines, path
        first = next((line for line in lines if line.strip()), "")
        self._dialect = dialect or ("tsv" if "\t" in first else "csv")
        self._begin, self._first = lines.number, True
        self._reader = csv.reader(itertools.chain([first], lines), **DIALECTS[self._dialect])
        self.header = self._next_row() or []

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yields the 1-based line number where each row begins, and its cells; skips blank lines.

        Raises:
          UserError: a row cannot be read, or is longer than `MAX_ROW_BYTES`.
        """
        while (cells := self._next_row()) is not None:
            if cells:
                yield self._begin, cells

    def _next_row(self) -> list[str] | None:
        # The header line was already read to find the dialect.
        self._begin = self._begin if self._first else self._lines.number + 1
        self._first = False
        try:
            cells = next(self._reader, None)
        except csv.Error as error:
            raise UserError(
                f"{self._path}, line {self._begin} is not a valid {self._dialect.upper()} row "
                f"({error}); close its quotation marks, or get a fresh copy of the file."
            ) from error
        self._lines.row_ended()
        return cells


class RowLines:
    """Iterates over the lines of a table as text and limits the size of one row.

    A row's quoted fields may contain any number of line breaks.

    Attributes:
      number: the 1-based number of the line read last.

    Raises:
      UserError: a row is longer than `MAX_ROW_BYTES`, or a line is not UTF-8.
    """

    def __init__(self, content: BinaryIO, path: Path):
        self._lines, self._path = numbered_lines(content, path), path
        self._bytes = self.number = 0

    def row_ended(self) -> None:
        """Marks the end of a row; the next line begins another one."""
        self._bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        self._bytes += len(line)
        if self._bytes > MAX_ROW_BYTES:
            raise UserError(
                f"{self._path}, line {self.number}: the row is longer than "
                f"{MAX_ROW_BYTES >> 20} MiB; check for a missing quotation mark."
            )
        return decoded(line, self.number, self._path)


def read_table(
    path: Path, *, dialect: str, columns: Sequence[str], id_column: str | None
) -> Iterator[Item]:
    """Yields the rows of a table as items; skips blank lines.

    A row whose number of fields differs from the header's has a fault. So has one whose text is a
    missing value such as `nan`.

    Args:
      dialect: as in `open_table`.
      columns: candidate names for the column of sequences or texts, ignoring case; the first one in
        the header is used.
      id_column: None takes the first of `ID_COLUMNS` in the header, else the row's number (1 = the
        first after the header).

    Raises:
      UserError: as in `open_table`, or a column is missing.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.csv"
        >>> _ = path.write_text("id,sequence\\nP1,MKV\\n")
        >>> items = read_table(path, dialect="csv", columns=["sequence"], id_column=None)
        >>> [(item.id, item.text) for item in items]
        [('P1', 'MKV')]
    """
    with open_table(path, dialect) as table:
        text_position = _position(table.header, columns)
        id_position = _position(table.header, ID_COLUMNS if id_column is None else [id_column])
        if text_position is None or (id_column is not None and id_position is None):
            missing = " or ".join(columns) if text_position is None else id_column
            raise UserError(
                f"{path} has no column {missing}; its header has: "
                f"{', '.join(table.header) or 'no columns'}. "
                "Choose columns with --column and --id_column."
            )
        width = len(table.header)
        for number, (line, cells) in enumerate(table.rows(), 1):
            if len(cells) == width:
                # The CSV reader has already removed quotation marks.
                if dialect == "tsv":
                    cells = [unquoted(cell) for cell in cells]
                name = str(number) if id_position is None else cells[id_position].strip()
                text = cells[text_position]
                fault = f"it is {text.strip()!r}, a missing value" if is_missing(text) else ""
                yield Item(name, "" if fault else text, line, fault)
            else:
                fault = f"its row has {len(cells)} fields, but the header has {width}"
                yield Item("", "", line, fault)


def id_column_of(header: Sequence[str]) -> str | None:
    """The column that `read_table` takes ids from, or None if it numbers the rows."""
    position = _position(header, ID_COLUMNS)
    return None if position is None else header[position]


def _position(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The position of the first of `names` in the header: exact match, else ignoring case."""
    exact = {name: position for position, name in reversed(list(enumerate(header)))}
    folded = {name.strip().lower(): position for name, position in exact.items()}
    for known, wanted in ((exact, names), (folded, [name.lower() for name in names])):
        for name in wanted:
            if name in known:
                return known[name]
    return None
