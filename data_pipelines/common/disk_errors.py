"""What the disk refuses while a command writes, in one sentence."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import RunError

DISK_ERRORS = (
    *(
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        errno.EIO,
        errno.ESTALE,
    ),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
)


@contextlib.contextmanager
def report_disk_errors(output: str | Path, *, kept: str = "") -> Iterator[None]:
    """Makes a RunError, which names the output and the reason, of a file that cannot be written.

    Where `output` is a path and the error names a file elsewhere, that one is told. `kept` tells
    what another run of the same line begins with, where it does not begin anew.
    """
    try:
        yield
    except Exception as error:
        if _code(error) not in DISK_ERRORS:
            raise
        raise disk_error(error, output, kept=kept) from error


def disk_error(error: Exception, output: str | Path, *, kept: str = "") -> RunError:
    """The sentence on an error of the disk, as `report_disk_errors` raises it."""
    elsewhere = _file_elsewhere(error, output) if isinstance(output, Path) else None
    message = (
        f"{elsewhere} cannot be read or written" if elsewhere else f"{output} cannot be written"
    )
    again = f"run the same line again{kept and f': {kept}'}"
    return RunError(
        f"{message} ({os.strerror(_code(error))}); make room or mend the disk, then {again}."
    )


def _file_elsewhere(error: Exception, output: Path) -> str | None:
    """The file that an error names, unless that is the output, a folder it is in, or one whose
    name begins with its name."""
    named = getattr(error, "filename", None)
    if not isinstance(named, str | os.PathLike):
        return None
    path, target = os.path.abspath(named), os.path.abspath(output)
    return (
        None if path.startswith(target) or target.startswith(os.path.join(path, "")) else str(named)
    )


def _code(error: Exception) -> int | None:
    """The system's error number, which libraries in C++ and Rust put into the text of their
    errors, as a number or in words."""
    if code := getattr(error, "errno", None):
        return code
    if number := re.search(r"os[_ ]error(?:_code=')? ?(\d+)", str(error)):
        return int(number[1])
    return next(
        (
            code
            for code in DISK_ERRORS
            if isinstance(error, OSError) and os.strerror(code) in str(error)
        ),
        None,
    )
