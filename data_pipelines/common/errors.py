"""The exceptions that are one sentence for the user, and how commands end."""

import errno
import functools
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator

_LONGEST = 1000
"""Characters of a sentence; a longer one loses its middle."""


class _Sentence(Exception):
    """One line that can be printed, whatever a stranger's file has put into it."""

    def __init__(self, sentence: str):
        super().__init__(one_line(sentence))


def one_line(text: str) -> str:
    """The text on one line of at most `_LONGEST` characters, with escapes for what a terminal
    would not show as it is."""
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
    """A command that was right and cannot go on, such as a full disk: one sentence that names the
    thing and the fix.

    Commands print it on stderr without a traceback and exit with code 1.
    """


def require_utf8(path: str | os.PathLike) -> None:
    """Raises UserError for a path, or any other argument, that is not UTF-8: most libraries
    refuse it."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"'{os.fspath(path)}' is not UTF-8; type it in UTF-8, or rename the file or folder."
        ) from error


def command(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wraps a command's main: returns its exit code, for a `UserError` or `RunError` 2 or 1, with
    one sentence on stderr.

    So do arguments that are not UTF-8, with 2, and a limit of open files that is too low, with 1,
    whatever it leads to. Ctrl-C ends it with 130, as it ends other programs, and without a
    traceback.
    """

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        try:
            given = args[0] if args else None
            for argument in (
                sys.argv if given is None else given if isinstance(given, list | tuple) else ()
            ):
                require_utf8(argument)
            return main(*args, **kwargs) or 0
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 128 + signal.SIGINT
        except Exception as error:
            told, code = _sentence(error)
            if told is None:
                raise
            print(f"error: {told}", file=sys.stderr)
            return code

    return wrapped


def _sentence(error: Exception) -> tuple[str | None, int]:
    """What to tell of an error, None for one of the program itself, and the exit code."""
    if any(os.strerror(errno.EMFILE) in str(cause) for cause in _causes(error)):
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # What could not be opened complains once more when it is removed.
        sys.unraisablehook = lambda _: None
        limit = f"this needs more files open at once than the {allowed} that are allowed"
        return f"{limit}; run `ulimit -n 4096`, then the same line again.", 1
    if isinstance(error, UserError | RunError):
        return str(error), 2 if isinstance(error, UserError) else 1
    return None, 1


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
