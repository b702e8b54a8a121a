"""Reads source files into records, in two steps; the file name selects the format.

`raw_entries` cuts a file into entries, which is cheap. `parse_entry` turns one entry into a record.
It takes most of the time and needs nothing else, so it can run in another process. `read_entries`
does both.
"""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.readers.source_formats import BY_NAME, SUFFIXES, formats_of
from data_pipelines.readers.uniprot.entry import Entry, Malformed, RawEntry, Reject, checked

__all__ = ["SUFFIXES", "Entry", "RawEntry", "Reject", "parse_entry", "raw_entries", "read_entries"]


def raw_entries(path: str | Path) -> Iterator[RawEntry]:
    """Yields the unparsed entries of a file, in file order and bounded memory.

    Args:
      path: the file, plain or gzip.

    Raises:
      UserError: the format is unknown, or the file is unreadable, truncated, or not in the format
        its name implies.
    """
    path = Path(path)
    first, *others = formats = formats_of(path)
    return first.split_shared(path, formats) if others else first.split(path)


def parse_entry(raw: RawEntry, *, omitted: Counter | None = None) -> Entry:
    """Parses an entry into a Record, or into a Reject that gives the reason.

    Args:
      omitted: counts, by reason, features left out because a Record cannot express them.
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
    """Yields the parsed entries of a file (`parse_entry` of each of its `raw_entries`).

    Raises:
      UserError: as in `raw_entries`.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "lab.tsv"
        >>> _ = path.write_text("accession\\tsequence\\tname\\nLAB1\\tMKV\\tWidgetase\\n")
        >>> [(entry.accession, entry.sequence) for entry in read_entries(path)]
        [('LAB1', 'MKV')]
    """
    omitted = Counter() if omitted is None else omitted
    return (parse_entry(raw, omitted=omitted) for raw in raw_entries(path))
