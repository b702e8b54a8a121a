"""Progress of reading files: `open_bytes` reports to the active watches, which know the total."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from data_pipelines.common.progress import byte_progress, progress

Item = TypeVar("Item")

_watches: list["Watch"] = []


class Watch:
    """Counts the (compressed) bytes read from some files while the context is open.

    Attributes:
      total: the size of all files in bytes; 0 if there are none, as for a pipe or a folder.
    """

    def __init__(self, paths: Iterable[Path]):
        sizes = {str(path): path.stat().st_size for path in paths if path.is_file()}
        self.total = sum(sizes.values())
        self._read = dict.fromkeys(sizes, 0)
        self._open: dict[str, BinaryIO] = {}

    def __enter__(self) -> Self:
        _watches.append(self)
        return self

    def __exit__(self, *exception):
        _watches.remove(self)

    @property
    def position(self) -> int:
        """Bytes read so far."""
        for name, file in self._open.items():
            self._read[name] = file.tell()
        return sum(self._read.values())

    def begin(self, name: str, file: BinaryIO) -> None:
        """Registers a file that was just opened."""
        if name in self._read:
            self._open[name] = file

    def end(self, name: str, file: BinaryIO) -> None:
        """Unregisters a file that is about to be closed."""
        if self._open.get(name) is file:
            self._read[name] = file.tell()
            del self._open[name]


@contextlib.contextmanager
def watched(path: str | Path, file: BinaryIO) -> Iterator[None]:
    """Registers an open file with the active watches for the duration of the context."""
    watching = tuple(_watches)
    for watch in watching:
        watch.begin(str(path), file)
    try:
        yield
    finally:
        for watch in watching:
            watch.end(str(path), file)


def reading_progress(
    items: Iterable[Item],
    paths: Sequence[Path],
    *,
    description: str,
    noun: str,
    size: Callable[[Item], int] = lambda item: 1,
) -> Iterator[Item]:
    """Yields items read from files, and shows how much of the files is read and the item count.

    Args:
      paths: the files; if none is a regular file, only items are counted.
      noun: the plural name of the items.
      size: how many items one element counts as.
    """
    with Watch(paths) as watch:
        if watch.total:
            yield from _with_bytes(items, watch, description=description, noun=noun, size=size)
            return
        with progress(description=description, unit=noun) as bar:
            for item in items:
                bar.update(size(item))
                yield item


def _with_bytes(
    items: Iterable[Item], watch: Watch, *, description: str, noun: str, size: Callable[[Item], int]
) -> Iterator[Item]:
    count = 0
    with byte_progress(description=description, total=watch.total) as bar:
        for item in items:
            count += size(item)
            bar.set_postfix_str(f"{count:,} {noun}", refresh=False)
            bar.update(watch.position - bar.n)
            yield item
        bar.update(watch.total - bar.n)
