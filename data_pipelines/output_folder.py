"""A folder that appears under its name only when it is complete."""

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from data_pipelines.errors import UserError


@contextlib.contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """A folder `OUTPUT.partial` to build in, renamed to `output` when the context ends well and removed when it fails.

    A killed program leaves `OUTPUT.partial`, which the next one replaces.

    Raises:
      UserError: `output` exists and is no empty folder, or cannot be made.
    """
    output = output.resolve()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; remove it or name another --output.")
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{output} cannot be made ({error.strerror}); name another --output.") from error
    try:
        yield partial
        partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
