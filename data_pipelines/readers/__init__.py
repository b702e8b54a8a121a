"""Source files to records: one module a format, chosen by the file's name."""

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from data_pipelines.errors import UserError
from data_pipelines.readers.entry import Entry, Reject
from data_pipelines.readers.uniprot_flat import read_flat_file

__all__ = ["Entry", "Reject", "read_entries"]

READERS: dict[str, Callable[[Path, Counter], Iterator[Entry]]] = {".dat": read_flat_file, ".txt": read_flat_file}
"""File name suffix, without .gz → (path, omitted) -> entries."""


def read_entries(path: str | Path, *, omitted: Counter | None = None) -> Iterator[Entry]:
    """The entries of a file in its order, one at a time: a Record for a valid one, else a Reject that says why.

    Args:
      path: the file, plain or gzip.
      omitted: counts, by reason, the features that a Record cannot express and that were left out of it.

    Raises:
      UserError: the format is unknown, or the file unreadable, cut off or of another format than its name says.
    """
    path = Path(path)
    name = path.name.removesuffix(".gz")
    for suffix, reader in READERS.items():
        if name.endswith(suffix):
            return reader(path, Counter() if omitted is None else omitted)
    raise UserError(f"{path} is of no known format; name it *{', *'.join(READERS)} (or the same with .gz).")
