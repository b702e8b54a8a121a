"""The exceptions that are one sentence for the user, and how commands end."""

import functools
import signal
import sys
from collections.abc import Callable

_LONGEST = 1000
"""Characters of a sentence; a longer one loses its middle."""


class _Sentence(Exception):
    """One line that can be printed, whatever a stranger's file has put into it."""

    def __init__(self, sentence: str):
        super().__init__(one_line(sentence))


def one_line(text: str) -> str:
    """The text on one line of at most `_LONGEST` characters, with escapes for what a terminal would not show as it is."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    kept = _LONGEST // 2 - 2
    return line if len(line) <= _LONGEST else f"{line[:kept].rstrip()} … {line[-kept:].lstrip()}"


class UserError(_Sentence):
    """A mistake of the user: one sentence that names the thing and the fix.

    Commands print it on stderr without a traceback and exit with code 2.
    """


class RunError(_Sentence):
    """A command that was right and cannot go on, such as a full disk: one sentence that names the thing and the fix.

    Commands print it on stderr without a traceback and exit with code 1.
    """


def command(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wraps a command's main: returns its exit code, for a `UserError` or `RunError` 2 or 1, with one sentence on stderr.

    Ctrl-C ends it with 130, as it ends other programs, and without a traceback.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except RunError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT

    return wrapped
