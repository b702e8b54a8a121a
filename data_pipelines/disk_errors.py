"""What the disk refuses while a command writes, in one sentence."""

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.errors import RunError

DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE),
    *(errno.EEXIST, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP),
)


@contextlib.contextmanager
def told_disk_errors(output: str | Path, *, kept: str = "") -> Iterator[None]:
    """Makes a RunError, which names the output and the reason, of a file that cannot be written.

    `kept` tells what another run of the same line begins with, where it does not begin anew.
    """
    try:
        yield
    except Exception as error:
        code = _code(error)
        if code not in DISK_ERRORS:
            raise
        raise RunError(
            f"{output} cannot be written ({os.strerror(code)}); make room or mend the disk, then run the same line again"
            f"{kept and f': {kept}'}."
        ) from error


def _code(error: Exception) -> int | None:
    """The system's error number, which libraries in C++ put into the text of their own exceptions, as a number or in words."""
    if code := getattr(error, "errno", None):
        return code
    if number := re.search(r"os_error_code='(\d+)'", str(error)):
        return int(number[1])
    return next((code for code in DISK_ERRORS if isinstance(error, OSError) and os.strerror(code) in str(error)), None)
