"""Source files to records, in two steps; a file's name chooses among `source_formats`.

`raw_entries` cuts a file into whole entries, which is cheap; `parse_entry` makes a record of one,
which takes the time and depends on nothing else, so that it may happen in another process.
`read_entries` does both.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers.source_formats import BY_NAME, SUFFIXES, formats_of
from data_pipelines.readers.uniprot.entry import Entry, Malformed, RawEntry, Reject, checked

__all__ = ["SUFFIXES", "Entry", "RawEntry", "Reject", "parse_entry", "raw_entries", "read_entries"]


def raw_entries(path: str | Path) -> Iterator[RawEntry]:
    """The entries of a file in its order, unread, in bounded memory.

    Args:
      path: the file, plain or gzip.

    Raises:
      UserError: the format is unknown, or the file unreadable, cut off or of another format than
        its name says.
    """
    path = Path(path)
    first, *others = formats = formats_of(path)
    return first.split_shared(path, formats) if others else first.split(path)


def parse_entry(raw: RawEntry, *, omitted: Counter | None = None) -> Entry:
    """The Record of a valid entry, else a Reject that says why.

    Args:
      omitted: counts, by reason, the features that a Record cannot express and that were left
        out of it.
    """
    format = BY_NAME[raw.format]
    problem = raw.problem
    if not problem:
        try:
            record = format.parse(raw, Counter() if omitted is None else omitted)
        except Malformed as error:
            problem = str(error)
        else:
            if record.name or format.nameless:
                return checked(record, file=raw.file, line=raw.line)
            problem = "it has no protein name"
    return Reject(format.accession(raw), raw.file, raw.line, problem)


def read_entries(path: str | Path, *, omitted: Counter | None = None) -> Iterator[Entry]:
    """The entries of a file in its order, one at a time: `parse_entry` of each of its
    `raw_entries`.

    Raises:
      UserError: as `raw_entries`.
    """
    omitted = Counter() if omitted is None else omitted
    return (parse_entry(raw, omitted=omitted) for raw in raw_entries(path))
