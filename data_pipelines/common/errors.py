"""One-sentence errors for the user, and how commands exit."""

import errno
import functools
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterator

_LONGEST = 1000
"""Maximum characters of a sentence; a longer one is cut in the middle."""


class _Sentence(Exception):
    """An error message on one printable line, whatever text from a file it includes."""

    def __init__(self, sentence: str):
        super().__init__(one_line(sentence))


def one_line(text: str) -> str:
    """Joins text to one line of at most `_LONGEST` characters and escapes unprintable ones."""
    line = " ".join(text.split())
    if not line.isprintable():
        line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
    kept = _LONGEST // 2 - 2
    return line if len(line) <= _LONGEST else f"{line[:kept].rstrip()} … {line[-kept:].lstrip()}"


class UserError(_Sentence):
    """A mistake of the user, in one sentence that names the cause and the fix.

    Commands print it on stderr without a traceback and exit with code 2.
    """


class RunError(_Sentence):
    """A failure that is not the user's mistake, such as a full disk, with its cause and fix.

    Commands print it on stderr without a traceback and exit with code 1.
    """


def require_utf8(path: str | os.PathLike) -> None:
    """Raises UserError for a path or argument that is not UTF-8; most libraries reject it."""
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError as error:
        raise UserError(
            f"'{os.fspath(path)}' is not UTF-8; type it in UTF-8, or rename the file or folder."
        ) from error


def command(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wraps a command's main function so that it prints errors and returns an exit code.

    `UserError` gives 2 and `RunError` gives 1, each with one sentence on stderr. Arguments that are
    not UTF-8 give 2, and too low a limit of open files gives 1, whatever error it causes. Ctrl-C
    gives 130, as in other programs, without a traceback.
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
            sentence, code = _sentence(error)
            if sentence is None:
                raise
            print(f"error: {sentence}", file=sys.stderr)
            return code

    return wrapped


def _sentence(error: Exception) -> tuple[str | None, int]:
    """The sentence to print (None for a bug in the program) and the exit code."""
    if any(os.strerror(errno.EMFILE) in str(cause) for cause in _causes(error)):
        allowed, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        # Objects that could not be opened would complain again on garbage collection.
        sys.unraisablehook = lambda _: None
        limit = f"too many open files: the limit is {allowed} (`ulimit -n`)"
        return f"{limit}; run `ulimit -n 4096`, then rerun the command.", 1
    if isinstance(error, UserError | RunError):
        return str(error), 2 if isinstance(error, UserError) else 1
    return None, 1


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yields the error and the chain of errors that led to it."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
