"""The rows of tables and lists, with their lines; what is no such file is one clear sentence."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines
from data_pipelines.readers.table import Table, open_table
from eval.data.base.gathered import Gathered

ANOTHER_WIDTH = "its row has another number of fields than the header"


class Row(NamedTuple):
    """A row of a table."""

    line: int
    cells: dict[str, str]
    """Column → cell, without outer blanks."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The lines that are not blank, with their 1-based numbers, without their line ends.

    Raises:
      UserError: the file cannot be read, is cut off, or is no UTF-8 text.
    """
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            if line.strip():
                yield number, decoded(line, number, path).rstrip("\r\n")


def listed(path: Path, gathered: Gathered) -> Iterator[tuple[int, str]]:
    """The entries of a plain list, one a line, without outer blanks; the file becomes a source.

    Raises:
      UserError: there is none, or as `lines`.
    """
    count = 0
    for number, line in lines(path):
        count += 1
        yield number, line.strip()
    if not count:
        raise UserError(f"{path} is empty; fetch the file again.")
    gathered.source(path, count)


def table_header(path: Path) -> list[str]:
    """The columns that the first line names; a table is TSV where that line has a tab, else CSV.

    Raises:
      UserError: the file is empty, the line's quotation marks are not closed, or as `lines`.
    """
    with open_table(path) as table:
        return _stripped_header(path, table)


def table_rows(path: Path, gathered: Gathered, *, columns: Sequence[str]) -> Iterator[Row]:
    """The rows of a CSV or TSV with a header; one of another width is rejected, and the file
    becomes a source.

    Args:
      columns: those that must be there; all others are in the rows as well.

    Raises:
      UserError: a column is missing or named twice, quotation marks are not closed, or as
        `lines`.
    """
    count = 0
    with open_table(path) as table:
        header = _stripped_header(path, table)
        _check_header(path, header, columns)
        for line, cells in table.rows():
            count += 1
            if len(cells) == len(header):
                yield Row(line, dict(zip(header, map(str.strip, cells), strict=True)))
            else:
                gathered.reject(path, line, cells[0][:100], ANOTHER_WIDTH)
    gathered.source(path, count)


def _stripped_header(path: Path, table: Table) -> list[str]:
    if not table.header:
        raise UserError(f"{path} is empty; fetch the file again.")
    return [name.strip() for name in table.header]


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str]) -> None:
    named = ", ".join(header)[:300]
    if missing := [column for column in columns if column not in header]:
        raise UserError(
            f"{path} has no column {' and '.join(missing)}; its header line names: {named}."
        )
    if twice := [column for column in columns if header.count(column) > 1]:
        raise UserError(f"{path} names the column {twice[0]} twice; keep one of them.")
