"""Reports disk errors during a write in one sentence."""

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
    """Turns a disk error into a RunError that names the output and the cause.

    If `output` is a path and the error concerns a file elsewhere, that file is named instead.
    `kept` says where a rerun of the same command resumes, if it does not start over.
    """
    try:
        yield
    except Exception as error:
        if _code(error) not in DISK_ERRORS:
            raise
        raise disk_error(error, output, kept=kept) from error


def disk_error(error: Exception, output: str | Path, *, kept: str = "") -> RunError:
    """Builds the RunError that `report_disk_errors` raises."""
    elsewhere = _file_elsewhere(error, output) if isinstance(output, Path) else None
    message = (
        f"{elsewhere} cannot be read or written" if elsewhere else f"{output} cannot be written"
    )
    again = f"rerun the command{kept and f': {kept}'}"
    return RunError(
        f"{message} ({os.strerror(_code(error))}); free some space or check the disk, then {again}."
    )


def _file_elsewhere(error: Exception, output: Path) -> str | None:
    """Returns the file an error names, or None if it belongs to the output.

    Files inside the output, its parent folders, and names that start with its name belong to it.
    """
    named = getattr(error, "filename", None)
    if not isinstance(named, str | os.PathLike):
        return None
    path, target = os.path.abspath(named), os.path.abspath(output)
    return (
        None if path.startswith(target) or target.startswith(os.path.join(path, "")) else str(named)
    )


def _code(error: Exception) -> int | None:
    """Returns the system error number.

    C++ and Rust libraries put it in the text of their errors, as a number or in words.
    """
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
