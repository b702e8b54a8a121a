"""Raw entries and what they become: a valid record, or a reject with its reason."""

import dataclasses
import re
from typing import NamedTuple

from data_pipelines.protanno.record import (
    EXISTENCE,
    MAX_TAXON,
    PROPERTIES,
    RESIDUES,
    SOURCES,
    Record,
)
from data_pipelines.readers.streams.cells import unquoted


class RawEntry(NamedTuple):
    """One unparsed entry as it stands in its file."""

    format: str
    """The name of its source format."""
    file: str
    line: int
    """1-based line of its start."""
    content: bytes
    problem: str = ""
    """Why parsing is pointless ('' if it is not); `content` is then what remains of the entry."""
    header: tuple[str, ...] = ()
    """For a table, its columns."""

    def find(self, pattern: re.Pattern[bytes]) -> str:
        """Returns the first group of the pattern's first match in the content, '' if none."""
        found = pattern.search(self.content)
        return found[1].decode(errors="replace") if found else ""

    def cells(self) -> dict[str, str]:
        """Maps the columns of a table row to its cells, without outer spaces.

        Raises:
          Malformed: the row and the header differ in their number of cells.
        """
        values = decode(self.content).rstrip("\r\n").split("\t")
        if len(values) != len(self.header):
            raise Malformed(
                f"its row has {len(values)} cells, but the header has {len(self.header)}"
            )
        cells = [unquoted(value.strip()) for value in values]
        return dict(zip(self.header, cells, strict=True))

    def first_cell(self, column: str) -> str:
        """Returns a cell of a possibly broken table row, '' if the row is too short."""
        values = self.content.rstrip(b"\r\n").split(b"\t", len(self.header))
        position = self.header.index(column)
        return (
            values[position].decode(errors="replace").strip()[:100]
            if position < len(values)
            else ""
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """An entry without a valid record: its 1-based first `line` and the reason in one sentence."""

    accession: str
    file: str
    line: int
    reason: str


Entry = Record | Reject


class Malformed(Exception):
    """An entry that cannot be read; the message says why."""


def decode(content: bytes) -> str:
    """Decodes UTF-8; invalid bytes become lone surrogates, which `find_fault` reports."""
    return content.decode(errors="surrogateescape")


def find_fault(record: Record) -> str | None:
    """Returns why a record cannot be kept, whatever its format; None if it is valid."""
    if not record.accession:
        return "it has no accession"
    if record.source not in SOURCES:
        return f"its source is {record.source!r}; expected {', '.join(SOURCES)}"
    if record.existence not in EXISTENCE:
        return f"its protein existence level is {record.existence}; expected 1 to 5 (0 = unknown)"
    if not 0 <= record.taxon <= MAX_TAXON:
        return f"its taxon is {record.taxon}, not an NCBI taxonomy id (0 = unknown)"
    if record.other_names and not record.name:
        return "it has other names but no name"
    if not record.sequence:
        return "its sequence is empty"
    if record.sequence.strip(RESIDUES):
        illegal = ", ".join(map(repr, sorted(set(record.sequence) - set(RESIDUES))))
        return f"its sequence contains {illegal}, not amino-acid letters"
    for name in ("accession", "entry_name", "organism", *PROPERTIES):
        if not (text := getattr(record, name)).isprintable():
            return f"its {name} contains {_unprintable(text)}"
    if not (names := "".join(record.other_names)).isprintable():
        return f"its other names contain {_unprintable(names)}"
    if not (genes := "".join(record.genes + record.go)).isprintable():
        return f"its genes or GO ids contain {_unprintable(genes)}"
    notes = "".join([feature.type + feature.note for feature in record.features])
    if not notes.isprintable():
        return f"its features contain {_unprintable(notes)}"
    return None


def _unprintable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "bytes that are not UTF-8"
    return "control characters"


def checked(record: Record, *, file: str, line: int) -> Entry:
    """Returns the record if it is valid, else a Reject with the fault."""
    fault = find_fault(record)
    return record if fault is None else Reject(printable(record.accession), file, line, fault)


def printable(text: str) -> str:
    """Replaces undecodable characters with `?`, so that the text can be written as UTF-8."""
    return text.encode(errors="replace").decode()
