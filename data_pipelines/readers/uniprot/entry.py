"""What readers pass on: the raw text of an entry, and what becomes of it, a valid record or why
there is none."""

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
    """One entry as its file has it, not yet looked into."""

    format: str
    """The name of its source format."""
    file: str
    line: int
    """1-based, where it begins."""
    content: bytes
    problem: str = ""
    """Why no parser need try, '' if one may; the content is then what is left of the entry."""
    header: tuple[str, ...] = ()
    """Of a table: its columns."""

    def find(self, pattern: re.Pattern[bytes]) -> str:
        """The first group of the pattern's first match in the content, '' without one."""
        found = pattern.search(self.content)
        return found[1].decode(errors="replace") if found else ""

    def cells(self) -> dict[str, str]:
        """Column → cell of a table's row, without outer blanks.

        Raises:
          Malformed: the row has another number of cells than the header.
        """
        values = decode(self.content).rstrip("\r\n").split("\t")
        if len(values) != len(self.header):
            raise Malformed(f"its row has {len(values)} cells, the header has {len(self.header)}")
        cells = [unquoted(value.strip()) for value in values]
        return dict(zip(self.header, cells, strict=True))

    def first_cell(self, column: str) -> str:
        """The cell of a table's row that may be broken, '' where it has none."""
        values = self.content.rstrip(b"\r\n").split(b"\t", len(self.header))
        position = self.header.index(column)
        return (
            values[position].decode(errors="replace").strip()[:100]
            if position < len(values)
            else ""
        )


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """An entry that gave no record: where it begins (`line` is 1-based) and the reason in one
    sentence."""

    accession: str
    file: str
    line: int
    reason: str


Entry = Record | Reject


class Malformed(Exception):
    """An entry that cannot be read; the message says why."""


def decode(content: bytes) -> str:
    """UTF-8 text. Other bytes become lone surrogates, which `find_fault` finds where they got
    into a record."""
    return content.decode(errors="surrogateescape")


def find_fault(record: Record) -> str | None:
    """Why a record cannot be kept, whatever format it came from; None for a valid one."""
    if not record.accession:
        return "it has no accession"
    if record.source not in SOURCES:
        return f"its source is {record.source!r}; expected {', '.join(SOURCES)}"
    if record.existence not in EXISTENCE:
        return f"its protein existence level is {record.existence}, not 1 to 5 (0 = unknown)"
    if not 0 <= record.taxon <= MAX_TAXON:
        return f"its taxon is {record.taxon}, which is no id of NCBI's taxonomy (0 = unknown)"
    if record.other_names and not record.name:
        return "it has other names but no name"
    if not record.sequence:
        return "its sequence is empty"
    if record.sequence.strip(RESIDUES):
        illegal = sorted(set(record.sequence) - set(RESIDUES))
        return (
            f"its sequence holds {', '.join(map(repr, illegal))}, which are no amino-acid letters"
        )
    for name in ("accession", "entry_name", "organism", *PROPERTIES):
        if not (text := getattr(record, name)).isprintable():
            return f"its {name} holds {_unprintable(text)}"
    if not (names := "".join(record.other_names)).isprintable():
        return f"its other names hold {_unprintable(names)}"
    if not (genes := "".join(record.genes + record.go)).isprintable():
        return f"its genes or GO ids hold {_unprintable(genes)}"
    if not (
        notes := "".join([feature.type + feature.note for feature in record.features])
    ).isprintable():
        return f"its features hold {_unprintable(notes)}"
    return None


def _unprintable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        return "bytes that are no UTF-8 text"
    return "control characters"


def checked(record: Record, *, file: str, line: int) -> Entry:
    """The record, or the Reject that `find_fault` calls for."""
    fault = find_fault(record)
    return record if fault is None else Reject(printable(record.accession), file, line, fault)


def printable(text: str) -> str:
    """The text with `?` for what is no character, so that it can be written as UTF-8."""
    return text.encode(errors="replace").decode()
