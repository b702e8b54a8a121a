"""Source files to records: one module a format, chosen by the file's name, in two steps.

`raw_entries` cuts a file into whole entries, which is cheap; `parse_entry` makes a record of one, which takes the time and
depends on nothing else, so that it may happen in another process. `read_entries` does both.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.uniprot import lab_tsv, tsv, uniprot_flat, uniprot_json, uniprot_tsv, uniprot_xml
from data_pipelines.readers.uniprot.entry import Entry, Malformed, RawEntry, Reject, checked

__all__ = ["SUFFIXES", "Entry", "RawEntry", "Reject", "parse_entry", "raw_entries", "read_entries"]

SPLITTERS = {
    ".dat": uniprot_flat.split,
    ".txt": uniprot_flat.split,
    ".xml": uniprot_xml.split,
    ".tsv": tsv.split,
    ".json": uniprot_json.split,
    ".jsonl": uniprot_json.split,
}
"""File name suffix, without .gz → the raw entries of a path."""

SUFFIXES = tuple(SPLITTERS)

PARSERS = {module.FORMAT: module for module in (uniprot_flat, uniprot_xml, uniprot_tsv, lab_tsv, uniprot_json)}
"""Format of a raw entry → the module whose `parse` makes its record and whose `accession` names a reject."""


def raw_entries(path: str | Path) -> Iterator[RawEntry]:
    """The entries of a file in its order, unread, in bounded memory.

    Args:
      path: the file, plain or gzip.

    Raises:
      UserError: the format is unknown, or the file unreadable, cut off or of another format than its name says.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz")
    for suffix, split in SPLITTERS.items():
        if name.endswith(suffix):
            return split(path)
    raise UserError(f"{path} is of no known format; name it *{', *'.join(SUFFIXES)} (or the same with .gz).")


def parse_entry(raw: RawEntry, *, omitted: Counter | None = None) -> Entry:
    """The Record of a valid entry, else a Reject that says why.

    Args:
      omitted: counts, by reason, the features that a Record cannot express and that were left out of it.
    """
    module = PARSERS[raw.format]
    problem = raw.problem
    if not problem:
        try:
            record = module.parse(raw, Counter() if omitted is None else omitted)
        except Malformed as error:
            problem = str(error)
        else:
            return checked(record, file=raw.file, line=raw.line)
    return Reject(module.accession(raw), raw.file, raw.line, problem)


def read_entries(path: str | Path, *, omitted: Counter | None = None) -> Iterator[Entry]:
    """The entries of a file in its order, one at a time: `parse_entry` of each of its `raw_entries`.

    Raises:
      UserError: as `raw_entries`.
    """
    omitted = Counter() if omitted is None else omitted
    return (parse_entry(raw, omitted=omitted) for raw in raw_entries(path))
