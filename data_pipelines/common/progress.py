"""One progress display for every command: a bar on a terminal, a line every 30 s elsewhere."""

import sys
from collections.abc import Iterable

from tqdm import tqdm

LINE_SECONDS = 30.0


def progress(
    iterable: Iterable | None = None, *, description: str, unit: str, total: int | None = None, initial: int = 0
) -> tqdm:
    """A tqdm on stderr with rate and ETA; when stderr is no terminal it prints a line at most every 30 s."""
    terminal = sys.stderr.isatty()
    return tqdm(
        iterable,
        desc=description,
        unit=unit,
        total=total,
        initial=initial,
        file=sys.stderr,
        dynamic_ncols=terminal,
        mininterval=0.5 if terminal else LINE_SECONDS,
        maxinterval=10.0 if terminal else LINE_SECONDS,
        bar_format=None if terminal else "{desc}: {n_fmt}/{total_fmt} {unit} [{elapsed}<{remaining}, {rate_fmt}{postfix}]\n",
        ascii=not terminal,
    )


def tell(*lines: str) -> None:
    """On stderr."""
    print(*lines, sep="\n", file=sys.stderr, flush=True)
