"""Tables with a header line: CSV, and TSV as UniProt writes it; plain or gzip, one row at a
time."""

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
    # Quotation marks are letters like any other there: one that is not closed would swallow the
    # rest of the file.
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}
MAX_ROW_BYTES = 1 << 25
ID_COLUMNS = ("id", "entry", "accession", "protein_id", "seq_id", "ec", "go")
"""Compared without case."""


@contextlib.contextmanager
def open_table(path: Path, dialect: str | None = None) -> Iterator["Table"]:
    """A table to read once.

    Args:
      dialect: `csv` (quoted fields may hold commas and line ends) or `tsv` (no quoting); None takes
        TSV where the header line has a tab, else CSV.

    Raises:
      UserError: the file is unreadable, cut off, or no UTF-8 text; within the context too, as
        more of it is read.
    """
    # One limit for the whole process; Python's own is below the longest sequences.
    csv.field_size_limit(MAX_LETTERS)
    with open_bytes(path) as content:
        yield Table(RowLines(content, path), path, dialect)


class Table:
    """An open table. Attributes: `header`, the cells of the first line that is not blank; empty
    for an empty file."""

    def __init__(self, lines: "RowLines", path: Path, dialect: str | None):
        self._lines, self._path = lines, path
        first = next((line for line in lines if line.strip()), "")
        self._dialect = dialect or ("tsv" if "\t" in first else "csv")
        self._begin, self._first = lines.number, True
        self._reader = csv.reader(itertools.chain([first], lines), **DIALECTS[self._dialect])
        self.header = self._next_row() or []

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The line that each row begins on, counted from 1, and its cells; blank lines are skipped.

        Raises:
          UserError: a row cannot be read, or is longer than `MAX_ROW_BYTES`.
        """
        while (cells := self._next_row()) is not None:
            if cells:
                yield self._begin, cells

    def _next_row(self) -> list[str] | None:
        # The header's own line was read to find the dialect.
        self._begin = self._begin if self._first else self._lines.number + 1
        self._first = False
        try:
            cells = next(self._reader, None)
        except csv.Error as error:
            raise UserError(
                f"{self._path}, line {self._begin} is no line of a {self._dialect.upper()} "
                f"table: {error}; "
                "close its quotation marks, or get the file anew."
            ) from error
        self._lines.row_ended()
        return cells


class RowLines:
    """The lines of a table, as text; bounds the memory of one row, whose quoted fields may hold any
    number of line ends.

    Attributes:
      number: that of the line that was read last, from 1.

    Raises:
      UserError: a row is longer than `MAX_ROW_BYTES`, or a line is no UTF-8 text.
    """

    def __init__(self, content: BinaryIO, path: Path):
        self._lines, self._path, self._bytes, self.number = (
            numbered_lines(content, path),
            path,
            0,
            0,
        )

    def row_ended(self) -> None:
        """The next line begins another row."""
        self._bytes = 0

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        self._bytes += len(line)
        if self._bytes > MAX_ROW_BYTES:
            raise UserError(
                f"{self._path}, line {self.number}: the row is longer than "
                f"{MAX_ROW_BYTES >> 20} MiB; is a quote missing?"
            )
        return decoded(line, self.number, self._path)


def read_table(
    path: Path, *, dialect: str, columns: Sequence[str], id_column: str | None
) -> Iterator[Item]:
    """The rows of a table; one with another number of fields than the header has a fault, a blank
    line is skipped.

    Args:
      dialect: as in `open_table`.
      columns: names for the column of the sequences or texts, compared without case; the first that
        the header has is read.
      id_column: None takes the first of `ID_COLUMNS` that is there, else the row's number (1 = the
        first after the header).

    A cell that says that there is no value, as `nan`, is a fault.

    Raises:
      UserError: as `open_table`, or a column is missing.
    """
    with open_table(path, dialect) as table:
        text_position = _position(table.header, columns)
        id_position = _position(table.header, ID_COLUMNS if id_column is None else [id_column])
        if text_position is None or (id_column is not None and id_position is None):
            missing = " or ".join(columns) if text_position is None else id_column
            raise UserError(
                f"{path} has no column {missing}; its header line names: "
                f"{', '.join(table.header) or 'nothing'}. "
                "Choose with --column and --id_column."
            )
        width = len(table.header)
        for number, (line, cells) in enumerate(table.rows(), 1):
            if len(cells) == width:
                # The reader of CSV has undone quotation marks already.
                if dialect == "tsv":
                    cells = [unquoted(cell) for cell in cells]
                name = str(number) if id_position is None else cells[id_position].strip()
                text = cells[text_position]
                fault = (
                    f"it is {text.strip()!r}, which says that there is no value"
                    if is_missing(text)
                    else ""
                )
                yield Item(name, "" if fault else text, line, fault)
            else:
                yield Item("", "", line, f"its row has {len(cells)} fields, the header has {width}")


def id_column_of(header: Sequence[str]) -> str | None:
    """The column that `read_table` takes the ids from, None if it numbers the rows."""
    position = _position(header, ID_COLUMNS)
    return None if position is None else header[position]


def _position(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The first of the names that the header has, exactly or, if none, without case."""
    exact = {name: position for position, name in reversed(list(enumerate(header)))}
    folded = {name.strip().lower(): position for name, position in exact.items()}
    for known, wanted in ((exact, names), (folded, [name.lower() for name in names])):
        for name in wanted:
            if name in known:
                return known[name]
    return None
