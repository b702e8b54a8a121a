"""Reads rows of tables and lists with their line numbers; one clear error for any other file."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines
from data_pipelines.readers.table import Table, open_table
from eval.data.base.gathered import Gathered

ANOTHER_WIDTH = "its row has a different number of fields than the header"


class Row(NamedTuple):
    """A row of a table."""

    line: int
    cells: dict[str, str]
    """Column → cell, without leading and trailing blanks."""


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yields the lines that are not blank, with 1-based numbers and without line ends.

    Raises:
      UserError: the file cannot be read, is cut off, or is not UTF-8 text.
    """
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            if line.strip():
                yield number, decoded(line, number, path).rstrip("\r\n")


def listed(path: Path, gathered: Gathered) -> Iterator[tuple[int, str]]:
    """Reads a plain list, one entry per line, stripped of blanks; records the file as a source.

    Raises:
      UserError: the list is empty, or as `lines`.
    """
    count = 0
    for number, line in lines(path):
        count += 1
        yield number, line.strip()
    if not count:
        raise UserError(f"{path} is empty; fetch the file again.")
    gathered.source(path, count)


def table_header(path: Path) -> list[str]:
    """Reads the column names of the header; a table is TSV if that line has a tab, else CSV.

    Raises:
      UserError: the file is empty, a quotation mark in the line is not closed, or as `lines`.
    """
    with open_table(path) as table:
        return _stripped_header(path, table)


def table_rows(path: Path, gathered: Gathered, *, columns: Sequence[str]) -> Iterator[Row]:
    """Yields the rows of a CSV or TSV table with a header; records the file as a source.

    Rows with another number of fields are rejected.

    Args:
      columns: required columns; the rows hold all other columns as well.

    Raises:
      UserError: a column is missing or named twice, a quotation mark is not closed, or as `lines`.
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
        raise UserError(f"{path} has no column {' and '.join(missing)}; its header has: {named}.")
    if twice := [column for column in columns if header.count(column) > 1]:
        raise UserError(f"{path} names the column {twice[0]} twice; keep one of them.")
