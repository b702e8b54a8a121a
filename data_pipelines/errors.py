"""The one exception for a user's mistake, and how commands end."""

import functools
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake of the user: one sentence that names the thing and the fix.

    Commands print it on stderr without a traceback and exit with code 2.
    """


def command(main: Callable[..., int | None]) -> Callable[..., int]:
    """Wraps a command's main: returns its exit code, 2 with one sentence on stderr for a `UserError`."""

    @functools.wraps(main)
    def wrapped(*args, **kwargs) -> int:
        try:
            return main(*args, **kwargs) or 0
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2

    return wrapped
