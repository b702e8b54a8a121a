"""How far files are read: `open_bytes` tells whoever watches, so that a display knows the end
before the items do."""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, Self, TypeVar

from data_pipelines.common.progress import byte_progress, progress

Item = TypeVar("Item")

_watches: list["Watch"] = []


class Watch:
    """Counts the bytes of some files, compressed as they are, that are read while the context is
    open.

    Attributes:
      total: bytes of them all; 0 where there is no such file, as for a pipe or a folder.
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
        """Bytes that have been read so far."""
        for name, file in self._open.items():
            self._read[name] = file.tell()
        return sum(self._read.values())

    def begin(self, name: str, file: BinaryIO) -> None:
        """Takes note of a file that has just been opened."""
        if name in self._read:
            self._open[name] = file

    def end(self, name: str, file: BinaryIO) -> None:
        """Takes note that it is about to be closed."""
        if self._open.get(name) is file:
            self._read[name] = file.tell()
            del self._open[name]


@contextlib.contextmanager
def watched(path: str | Path, file: BinaryIO) -> Iterator[None]:
    """Lets the present watches know that the file is read in the context."""
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
    """The items that are read from files, with a display of how much of the files is read, and of
    their number.

    Args:
      paths: the files; where none of them is a file, the items alone are counted.
      noun: what items are called.
      size: how many of them an item stands for.
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
