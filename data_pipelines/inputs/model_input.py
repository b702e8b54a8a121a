"""A user's proteins or texts on the way into a model: read, cleaned and named, so that nothing
changes silently."""

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
    """An item as the model is given it."""

    id: str
    """As written; `sequence_N` or `text_N` for the N-th item of the input if that has none."""
    text: str
    """Clean; of no use where there is a fault."""
    line: int
    fault: str
    """Why the item cannot be used, '' for one that can."""
    changes: Counter
    """How many characters were changed, by kind."""
    nameless: bool
    """Whether the input gives no id."""
    name: str = ""
    """What the input calls it beside the id."""
    record: Record | None = None
    """All that is known of a protein, where the input is of UniProt entries."""
    doubt: str = ""
    """What a protein looks like if not like one."""
    written: str = ""
    """The text as the input has it, where that is known."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Source:
    """A file of proteins or texts, which can be read any number of times.

    Attributes:
      format: the name of an input format.
      modality: `protein` or `text`.
      column, id_column: of a table; None takes those of the usual names.
    """

    path: Path
    format: str
    modality: str
    column: str | None = None
    id_column: str | None = None

    def read(self) -> Iterator[Item]:
        """The items as they are written; raises UserError as the readers do."""
        columns = (self.column,) if self.column else COLUMNS[self.modality]
        return BY_NAME[self.format].read(self.path, columns=columns, id_column=self.id_column)

    def count(self) -> int | None:
        """How many items there are, where that is known before they are read; of files it is
        not."""
        return None

    def notes(self) -> list[str]:
        """Lines for the user on how the input is read."""
        chosen = self.format not in TABLES or self.id_column
        return [] if chosen else numbered_rows(self.path, self.format)

    def prepared(self) -> Iterator[Prepared]:
        """Every item of the input, in its order."""
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
    """Raises UserError where a file begins as one of another format than its name tells; says
    nothing of one that is absent."""
    if not path.is_file():
        return
    with open_bytes(path) as content:
        start = content.read(1 << 12).lstrip(b"\xef\xbb\xbf \t\r\n")
    for beginning, found, fix in _BEGINNINGS:
        if format != found and re.match(beginning, start):
            raise UserError(
                f"{path} begins as {fix}, but its name says {BY_NAME[format].description}."
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
        "JSON, of which `build` and `index` read UniProt's entries (name it *.json)",
    ),
    (rb"LOCUS  ", "", "GenBank's flat file, which is not read; give its proteins as FASTA"),
)
"""Beginning of a content, the input format that it is, and what to say; `entries` are read by
`index` and `build`."""


def numbered_rows(path: Path, dialect: str) -> list[str]:
    """What to tell of a table whose rows are numbered for want of a column of ids."""
    with open_table(path, dialect) as table:
        header = table.header
    if id_column_of(header):
        return []
    known, there = ", ".join(ID_COLUMNS), ", ".join(header)
    return [
        f"ids: no column is named {known}, so rows are numbered; choose one of {there} with "
        "--id_column."
    ]


def clean_text(text: str) -> Cleaned:
    """A text without outer white space, unchanged otherwise; raises ValueError where nothing is
    left."""
    if not text.strip():
        raise ValueError("it is empty")
    return Cleaned(text.strip(), Counter())


def format_of(path: Path) -> str:
    """The format that a file's name tells.

    Raises:
      UserError: it tells none.
    """
    suffix = Path(path.name.lower().removesuffix(".gz")).suffix
    if suffix not in SUFFIXES:
        fix = f"say --format {'|'.join(BY_NAME)}, or name it *{', *'.join(SUFFIXES)}"
        raise UserError(f"{path} is of no known format; {fix}.")
    return SUFFIXES[suffix]
