"""The similarity of each held-out record to the training records, as computed by the build.

`nearest.tsv.gz` has one row per held-out record: its accession; identity and coverage of the
nearest training record with text, from a search (`build --identities`); the same for records
without text, which only masked language modelling uses; and whether MinHash finds a relative in
either group. An empty cell means not computed; an identity of 0 means the search found nothing.
"""

import functools
import gzip
import io
import types
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError

FILE = "nearest.tsv.gz"
"""File name in a dataset folder."""

_FIX = "rebuild the dataset"
_MAX_LINE, _MAX_ROWS = 1 << 12, 1 << 26
"""Limits, because the file may come from anyone."""


class Nearest(NamedTuple):
    """The training record nearest to a held-out one; None = not computed."""

    identity: float | None = None
    """Fraction of aligned positions with the same residue, 0 to 1."""
    coverage: float | None = None
    """Aligned fraction of the held-out protein, 0 to 1."""
    identity_without_text: float | None = None
    coverage_without_text: float | None = None
    related: bool | None = None
    """Whether MinHash finds a relative."""
    related_without_text: bool | None = None


COLUMNS = ("accession", *Nearest._fields)


def write_nearest(path: Path, rows: Iterable[tuple[str, Nearest]]) -> None:
    """Writes the file; the same rows give the same bytes."""
    with open(path, "wb") as raw, gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="\n")
        text.write("\t".join(COLUMNS) + "\n")
        text.writelines(
            "\t".join([accession, *map(_cell, found)]) + "\n" for accession, found in rows
        )
        text.flush()


def _cell(value: float | bool | None) -> str:
    return "" if value is None else f"{float(value):.4g}"


@functools.lru_cache(maxsize=2)
def load_nearest(directory: Path) -> Mapping[str, Nearest]:
    """Reads a dataset's rows by accession; empty for a dataset built before this file existed.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / FILE
    return types.MappingProxyType(read_nearest(path) if path.exists() else {})


def read_nearest(path: Path) -> dict[str, Nearest]:
    """Reads the rows of a file from `write_nearest`, by accession.

    Raises:
      UserError: the file is damaged.
    """
    found: dict[str, Nearest] = {}
    lines = _lines(path)
    if tuple(next(lines, "").rstrip("\n").split("\t")) != COLUMNS:
        raise UserError(f"{path} is damaged: its header must be {', '.join(COLUMNS)}; {_FIX}.")
    for number, line in enumerate(lines, 2):
        if len(line) >= _MAX_LINE or number > _MAX_ROWS:
            raise UserError(
                f"{path} is damaged: line {number} is too long, or it has too many lines; {_FIX}."
            )
        accession, *cells = line.rstrip("\n").split("\t")
        found[accession] = _nearest(cells, number, path)
    return found


def _lines(path: Path) -> Iterator[str]:
    """Yields lines, cut at `_MAX_LINE` characters."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            while line := file.readline(_MAX_LINE):
                yield line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); {_FIX}.") from error


def _nearest(cells: list[str], line: int, path: Path) -> Nearest:
    try:
        *numbers, first, second = [float(cell) if cell else None for cell in cells]
        found = Nearest(*numbers, _flag(first), _flag(second))
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}, line {line} is damaged; {_FIX}.") from error
    half = (found.identity is None) != (found.coverage is None)
    half |= (found.identity_without_text is None) != (found.coverage_without_text is None)
    if half or not all(value is None or 0 <= value <= 1 for value in found):
        raise UserError(
            f"{path}, line {line} is damaged: a number is missing or outside 0 to 1; {_FIX}."
        )
    return found


def _flag(value: float | None) -> bool | None:
    return None if value is None else bool(value)
