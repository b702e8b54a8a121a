"""Proteins or texts as model input: reads, cleans and names them, and records every change."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import BY_NAME, SUFFIXES, TABLES
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import Cleaned, clean_protein
from data_pipelines.protanno.record import Record
from data_pipelines.readers.item import Item
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.table import ID_COLUMNS, id_column_of, open_table

COLUMNS = {"protein": ("sequence", "Sequence", "seq"), "text": ("text",)}


class Prepared(NamedTuple):
    """An item as the model receives it."""

    id: str
    """As written, or `sequence_N` or `text_N` if the N-th item of the input has none."""
    text: str
    """Clean text; meaningless if there is a fault."""
    line: int
    fault: str
    """Why the item cannot be used; '' if it can."""
    changes: Counter
    """Number of changed characters, by kind."""
    nameless: bool
    """Whether the input gives no id."""
    name: str = ""
    """Its name in the input besides the id."""
    record: Record | None = None
    """The full record of a protein, if the input has UniProt entries."""
    doubt: str = ""
    """What a protein looks like if it does not look like one."""
    written: str = ""
    """The text as written in the input, if known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A file of proteins or texts, readable any number of times.

    Attributes:
      format: the name of an input format.
      modality: `protein` or `text`.
      column, id_column: columns of a table; None takes columns with the usual names.
    """

    path: Path
    format: str
    modality: str
    column: str | None = None
    id_column: str | None = None

    def read(self) -> Iterator[Item]:
        """Yields the items as written; raises UserError like the readers."""
        columns = (self.column,) if self.column else COLUMNS[self.modality]
        return BY_NAME[self.format].read(self.path, columns=columns, id_column=self.id_column)

    def count(self) -> int | None:
        """The number of items if known in advance; unknown for files."""
        return None

    def notes(self) -> list[str]:
        """Lines for the user on how the input is read."""
        chosen = self.format not in TABLES or self.id_column
        return [] if chosen else numbered_rows(self.path, self.format)

    def prepared(self) -> Iterator[Prepared]:
        """Yields every item of the input, in order."""
        clean, noun = (
            (clean_protein, "sequence") if self.modality == "protein" else (clean_text, "text")
        )
        for ordinal, item in enumerate(self.read(), 1):
            cleaned, fault = Cleaned("", Counter()), item.fault
            if not fault:
                try:
                    cleaned = clean(item.text)
                except ValueError as error:
                    fault = str(error)
            yield Prepared(
                item.id or f"{noun}_{ordinal}",
                cleaned.sequence,
                item.line,
                fault,
                cleaned.changes,
                not item.id,
                item.name,
                doubt=doubt(cleaned.sequence) if self.modality == "protein" else "",
                written=item.text,
            )


def check_content(path: Path, format: str) -> None:
    """Raises UserError if a file's content and name disagree on the format; skips missing files."""
    if not path.is_file():
        return
    with open_bytes(path) as content:
        start = content.read(1 << 12).lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, found, fix in _BEGINNINGS:
        if format != found and re.match(beginning, start):
            raise UserError(
                f"{path} looks like {fix}, but its name says {BY_NAME[format].description}."
            )


_BEGINNINGS = (
    (rb">", "fasta", "FASTA (pass --format fasta)"),
    (
        rb"ID   \S+ +(Reviewed|Unreviewed|STANDARD|PRELIMINARY);",
        "entries",
        "UniProt's flat file (name it *.dat)",
    ),
    (rb"<\?xml|<uniprot", "entries", "XML (name it *.xml)"),
    (
        rb'\{\s*"|\[\s*[{"]',
        "",
        "JSON; `build` and `index` read UniProt entries in JSON (name it *.json)",
    ),
    (rb"LOCUS  ", "", "GenBank's flat file, which is not supported (use FASTA)"),
)
"""Beginning of a file, its input format, and what to say; `index` and `build` read `entries`."""


def numbered_rows(path: Path, dialect: str) -> list[str]:
    """The note on a table whose rows are numbered because it has no id column."""
    with open_table(path, dialect) as table:
        header = table.header
    if id_column_of(header):
        return []
    known, present = ", ".join(ID_COLUMNS), ", ".join(header)
    return [
        f"ids: rows are numbered because no column is named {known}; "
        f"choose one of {present} with --id_column."
    ]


def clean_text(text: str) -> Cleaned:
    """Strips outer white space from a text; raises ValueError if nothing is left."""
    if not text.strip():
        raise ValueError("it is empty")
    return Cleaned(text.strip(), Counter())


def format_of(path: Path) -> str:
    """Determines the format from a file's name.

    Raises:
      UserError: the name has no known ending.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in SUFFIXES:
        fix = f"pass --format {'|'.join(BY_NAME)}, or name it *{', *'.join(SUFFIXES)}"
        raise UserError(f"{path} has an unknown format; {fix}.")
    return SUFFIXES[suffix]
