"""Formats of proteins or texts as model input."""

import abc
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from data_pipelines.readers.fasta import read_fasta
from data_pipelines.readers.item import Item
from data_pipelines.readers.table import read_table
from data_pipelines.readers.text_lines import read_text_lines


def listed(words: Sequence[str]) -> str:
    """Joins words like `a, b or c`."""
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last


class InputFormat(abc.ABC):
    """A format, and how to read its files."""

    name: ClassVar[str]
    """The value of `--format`."""
    suffixes: ClassVar[tuple[str, ...]]
    """File name endings, in lower case and without .gz."""
    description: ClassVar[str]
    """Its name in help texts."""
    modalities: ClassVar[tuple[str, ...]]
    """What it can contain, `protein` or `text`; the first is the default."""
    has_columns: ClassVar[bool] = False
    """Whether `columns` and `id_column` apply."""

    @abc.abstractmethod
    def read(self, path: Path, *, columns: Sequence[str], id_column: str | None) -> Iterator[Item]:
        """Yields the items as written.

        Args:
          columns: candidate names for the column of sequences or texts, see `read_table`.
          id_column: the id column; None selects a usual one.

        Raises:
          UserError: the file is unreadable or has another format.
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
"""File name ending → format name."""

DESCRIPTION = listed([format.description for format in INPUT_FORMATS])
"""All formats, for help texts."""

TEXT_FORMATS = tuple(format.name for format in INPUT_FORMATS if format.modalities[0] == "text")
"""Formats that contain texts by default."""

TABLES = tuple(format.name for format in INPUT_FORMATS if format.has_columns)
"""Formats with selectable columns."""
