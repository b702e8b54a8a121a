"""One progress display for all commands: a bar on a terminal, otherwise a line every 30 s."""

import sys
from collections.abc import Iterable

from tqdm import tqdm

LINE_SECONDS = 30.0
_LINE = "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]"


class _Lines(tqdm):
    """A tqdm for files and pipes: prints first, last and one line every 30 s, no cursor moves."""

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
    """A tqdm on stderr with rate and ETA; a line at most every 30 s if stderr is not a terminal."""
    return _display()(
        iterable, desc=description, unit=unit, total=total, initial=initial, file=sys.stderr
    )


def byte_progress(*, description: str, total: int) -> tqdm:
    """Like `progress`, but counts bytes (`1.2M`); the caller updates it."""
    return _display()(desc=description, unit="B", unit_scale=True, total=total, file=sys.stderr)


def print_status(*lines: str) -> None:
    """Prints lines on stderr, above any progress bar on a terminal."""
    text = "\n".join(lines)
    if sys.stderr.isatty():
        tqdm.write(text, file=sys.stderr)
    else:
        print(text, file=sys.stderr, flush=True)
