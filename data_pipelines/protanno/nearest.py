"""How near each held-out record of a dataset is to its training records, as the build found and
keeps it.

`nearest.tsv.gz` has a row for each held-out record: its accession; identity and coverage of the
nearest training record with text, from a search (`build --identities`); the same for those without
text, which masked language modelling alone learns from; and whether MinHash finds a relative among
either. A cell is empty where that was not looked up; an identity of 0 says that the search found
nothing.
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
"""In a dataset's folder."""

_FIX = "build the dataset again"
_MAX_LINE, _MAX_ROWS = 1 << 12, 1 << 26
"""Of a file that may be a stranger's."""


class Nearest(NamedTuple):
    """What is nearest to one record; None = not looked up."""

    identity: float | None = None
    """0 to 1, of the aligned positions."""
    coverage: float | None = None
    """0 to 1, the aligned share of the held-out protein."""
    identity_without_text: float | None = None
    coverage_without_text: float | None = None
    related: bool | None = None
    """Whether MinHash finds a relative."""
    related_without_text: bool | None = None


COLUMNS = ("accession", *Nearest._fields)


def write_nearest(path: Path, rows: Iterable[tuple[str, Nearest]]) -> None:
    """Writes the file, the same bytes for the same rows."""
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
    """By accession; empty for a dataset that was built before there was such a file.

    Raises:
      UserError: the file is damaged.
    """
    path = directory / FILE
    return types.MappingProxyType(read_nearest(path) if path.exists() else {})


def read_nearest(path: Path) -> dict[str, Nearest]:
    """The rows of a file that `write_nearest` wrote, by accession.

    Raises:
      UserError: it is none.
    """
    found: dict[str, Nearest] = {}
    lines = _lines(path)
    if tuple(next(lines, "").rstrip("\n").split("\t")) != COLUMNS:
        raise UserError(f"{path} is damaged: its header is not {', '.join(COLUMNS)}; {_FIX}.")
    for number, line in enumerate(lines, 2):
        if len(line) >= _MAX_LINE or number > _MAX_ROWS:
            raise UserError(
                f"{path} is damaged: line {number} is too long, or there are too many; {_FIX}."
            )
        accession, *cells = line.rstrip("\n").split("\t")
        found[accession] = _nearest(cells, number, path)
    return found


def _lines(path: Path) -> Iterator[str]:
    """The lines, of which no more than `_MAX_LINE` letters are read."""
    try:
        with gzip.open(path, "rt", encoding="utf-8", newline="\n") as file:
            while line := file.readline(_MAX_LINE):
                yield line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise UserError(f"{path} cannot be read ({error}); {_FIX}.") from error


def _nearest(cells: list[str], line: int, path: Path) -> Nearest:
    try:
        *numbers, first, second = [float(cell) if cell else None for cell in cells]
        found = Nearest(
            *numbers, *(flag if flag is None else bool(flag) for flag in (first, second))
        )
    except (ValueError, TypeError) as error:
        raise UserError(f"{path}, line {line} is damaged; {_FIX}.") from error
    half = (found.identity is None) != (found.coverage is None)
    half |= (found.identity_without_text is None) != (found.coverage_without_text is None)
    if half or not all(value is None or 0 <= value <= 1 for value in found):
        raise UserError(
            f"{path}, line {line} is damaged: a number is missing or not from 0 to 1; {_FIX}."
        )
    return found
