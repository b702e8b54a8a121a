"""Tables with a header line: CSV, and TSV as UniProt writes it; plain or gzip, one row at a time."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.errors import UserError
from data_pipelines.readers.files import open_bytes
from data_pipelines.readers.item import MAX_LETTERS, Item
from data_pipelines.readers.numbered_lines import decoded, numbered_lines

DIALECTS = {
    "csv": {"delimiter": ",", "strict": True},
    # Quotation marks are letters like any other there: one that is not closed would swallow the rest of the file.
    "tsv": {"delimiter": "\t", "quoting": csv.QUOTE_NONE},
}
ID_COLUMNS = ("id", "Entry", "accession")


def read_table(path: Path, *, dialect: str, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
    """The rows of a table; one with another number of fields than the header has a fault, a blank line is skipped.

    Args:
      dialect: `csv` (quoted fields may hold commas and line ends) or `tsv` (no quoting).
      columns: names for the column of the sequences or texts; the first that the header has is read.
      id_column: None takes the first of `ID_COLUMNS` that is there, else the row's number (1 = the first after the header).

    Raises:
      UserError: the file is unreadable, cut off, no UTF-8 text or no such table, or a column is missing.
    """
    # One limit for the whole process; Python's own is below the longest sequences.
    csv.field_size_limit(MAX_LETTERS)
    with open_bytes(path) as content:
        lines = (decoded(line, number, path) for number, line in numbered_lines(content, path))
        table = csv.reader(lines, **DIALECTS[dialect])
        try:
            header = next(table, [])
            text_place = _place(header, columns)
            id_place = _place(header, ID_COLUMNS if id_column is None else [id_column])
            if text_place is None or (id_column is not None and id_place is None):
                missing = " or ".join(columns) if text_place is None else id_column
                raise UserError(
                    f"{path} has no column {missing}; its header line names: {', '.join(header) or 'nothing'}. "
                    "Choose with --column and --id_column."
                )
            yield from _rows(table, width=len(header), text_place=text_place, id_place=id_place)
        except csv.Error as error:
            raise UserError(f"{path}, line {table.line_num} is no line of a {dialect.upper()} table: {error}.") from error


def _place(header: Sequence[str], names: Sequence[str]) -> int | None:
    return next((header.index(name) for name in names if name in header), None)


def _rows(table, *, width: int, text_place: int, id_place: int | None) -> Iterator[Item]:
    number, line = 0, table.line_num + 1
    for row in table:
        if row:
            number += 1
            if len(row) == width:
                yield Item(str(number) if id_place is None else row[id_place].strip(), row[text_place], line)
            else:
                yield Item("", "", line, f"its row has {len(row)} fields, the header has {width}")
        line = table.line_num + 1
