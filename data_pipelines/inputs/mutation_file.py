"""Reads a list of mutations: one per line, or a table of mutations and protein ids."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import substitutions
from data_pipelines.readers.table import id_column_of, open_table
from data_pipelines.readers.text_lines import read_text_lines

COLUMNS = ("mutant", "mutation", "mutations", "variant")
"""Names of the mutation column, ignoring case; the first one in the header is read."""

ANOTHER_WIDTH = "its row and the header differ in their number of fields"


class Mutation(NamedTuple):
    """A row of the list, as written."""

    line: int
    """1-based."""
    id: str
    """The protein's id; '' if the list has no id column."""
    text: str
    fault: str = ""
    """Why the row cannot be read; '' if it can."""


def read_mutations(path: Path) -> Iterator[Mutation]:
    """Yields every row of the list, except blank lines.

    A list begins with a mutation, a table with its header.

    Raises:
      UserError: the file is unreadable, empty, or a table without a mutation column.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "mutations.txt"
        >>> _ = path.write_text("A24G\\nC30D\\n")
        >>> [mutation.text for mutation in read_mutations(path)]
        ['A24G', 'C30D']
    """
    first = next((item for item in read_text_lines(path) if item.text), None)
    if first is None:
        raise UserError(f"{path} is empty; give one mutation per line, such as A24G.")
    if substitutions(first.text.upper(), first_position=0) is None:
        yield from _rows(path)
        return
    for item in read_text_lines(path):
        if item.text or item.fault:
            yield Mutation(item.line, "", item.text, item.fault)


def _rows(path: Path) -> Iterator[Mutation]:
    with open_table(path) as table:
        names = [name.strip().lower() for name in table.header]
        column = next((names.index(name) for name in COLUMNS if name in names), None)
        if column is None:
            raise UserError(
                f"{path} begins with {', '.join(table.header)[:100]!r}; expected a list of "
                f"mutations such as A24G, or a table with a column {', '.join(COLUMNS)}."
            )
        id_column = id_column_of(table.header)
        ids = None if id_column is None else table.header.index(id_column)
        for line, cells in table.rows():
            if len(cells) != len(names):
                yield Mutation(line, "", ",".join(cells)[:100], ANOTHER_WIDTH)
                continue
            own = "" if ids is None else cells[ids].strip()
            yield Mutation(line, own, cells[column].strip())
