"""The formats of a user's proteins or texts on the way into a model."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_pipelines.readers.fasta import read_fasta
from data_pipelines.readers.item import Item
from data_pipelines.readers.table import read_table
from data_pipelines.readers.text_lines import read_text_lines


def listed(words: Sequence[str]) -> str:
    """`a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


class InputFormat(abc.ABC):
    """A format, and how to read its files."""

    name: ClassVar[str]
    """The value of `--format`."""
    suffixes: ClassVar[tuple[str, ...]]
    """Of its files' names, in lower case and without .gz."""
    description: ClassVar[str]
    """What help texts call it."""
    modalities: ClassVar[tuple[str, ...]]
    """What it can hold, `protein` or `text`; the first is the default."""
    has_columns: ClassVar[bool] = False
    """Whether `columns` and `id_column` are read."""

    @abc.abstractmethod
    def read(self, path: Path, *, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
        """Yields the items as they are written.

        Args:
          columns: names for the column of the sequences or texts, see `read_table`.
          id_column: the column of the ids; None chooses a usual one.

        Raises:
          UserError: the file is unreadable or of another format.
        """


class Fasta(InputFormat):
    """FASTA."""

    name = "fasta"
    suffixes = (".fasta", ".fa", ".faa", ".fas", ".fsa")
    description = "FASTA"
    modalities = ("protein",)

    def read(self, path: Path, *, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
        """Yields the records."""
        return read_fasta(path)


class Table(InputFormat):
    """A table with a header line."""

    modalities = ("protein", "text")
    has_columns = True

    def read(self, path: Path, *, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
        """Yields the rows."""
        return read_table(path, dialect=self.name, columns=columns, id_column=id_column)


class Csv(Table):
    """A comma-separated table."""

    name = "csv"
    suffixes = (".csv",)
    description = "CSV"


class Tsv(Table):
    """A tab-separated table."""

    name = "tsv"
    suffixes = (".tsv",)
    description = "TSV"


class Lines(InputFormat):
    """One text or protein per line."""

    name = "lines"
    suffixes = (".txt",)
    description = "lines of text"
    modalities = ("text", "protein")

    def read(self, path: Path, *, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
        """Yields the lines."""
        return read_text_lines(path)


INPUT_FORMATS: tuple[InputFormat, ...] = (Fasta(), Csv(), Tsv(), Lines())

BY_NAME = {format.name: format for format in INPUT_FORMATS}

SUFFIXES = {suffix: format.name for format in INPUT_FORMATS for suffix in format.suffixes}
"""Suffix of a file's name → the format."""

DESCRIPTION = listed([format.description for format in INPUT_FORMATS])
"""All formats, for help texts."""

TEXT_FORMATS = tuple(format.name for format in INPUT_FORMATS if format.modalities[0] == "text")
"""Those that hold texts unless told otherwise."""

TABLES = tuple(format.name for format in INPUT_FORMATS if format.has_columns)
"""Those whose columns can be chosen."""
