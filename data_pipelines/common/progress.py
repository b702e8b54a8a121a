"""One progress display for every command: a bar on a terminal, a line every 30 s elsewhere."""

import sys
from collections.abc import Iterable

from tqdm import tqdm

LINE_SECONDS = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class _Lines(tqdm):
    """A tqdm for files and pipes: the first line, the last one, and one every 30 s, without
    moves of a cursor."""

    def __init__(self, iterable: Iterable | None = None, **options):
        slow = LINE_SECONDS
        super().__init__(
            iterable,
            **options,
            bar_format=_LINE,
            mininterval=slow,
            maxinterval=slow,
            smoothing=0,
            ascii=True,
        )

    def display(self, msg: str | None = None, pos: int | None = None) -> bool:
        if msg is None:
            self.fp.write(f"{self}\n")
            self.fp.flush()
        return False

    def close(self) -> None:
        if not self.disable:
            self.display()
        self.leave = False
        super().close()


class _Bar(tqdm):
    """A tqdm for terminals."""

    def __init__(self, iterable: Iterable | None = None, **options):
        super().__init__(iterable, **options, dynamic_ncols=True, mininterval=0.5, maxinterval=10.0)


def _display() -> type[tqdm]:
    return _Bar if sys.stderr.isatty() else _Lines


def progress(
    iterable: Iterable | None = None,
    *,
    description: str,
    unit: str,
    total: int | None = None,
    initial: int = 0,
) -> tqdm:
    """A tqdm on stderr with rate and ETA; when stderr is no terminal it prints a line at most
    every 30 s."""
    return _display()(
        iterable, desc=description, unit=unit, total=total, initial=initial, file=sys.stderr
    )


def byte_progress(*, description: str, total: int) -> tqdm:
    """As `progress`, of bytes in short (`1.2M`), on which it is told how many there have been."""
    return _display()(desc=description, unit="B", unit_scale=True, total=total, file=sys.stderr)


def tell(*lines: str) -> None:
    """On stderr, above the bars of a terminal."""
    told = "\n".join(lines)
    if sys.stderr.isatty():
        tqdm.write(told, file=sys.stderr)
    else:
        print(told, file=sys.stderr, flush=True)
