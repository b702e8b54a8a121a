"""Folders and files that appear under their names only when they are complete, and where they are named."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.disk_errors import told_disk_errors
from data_pipelines.errors import UserError


@contextlib.contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """A folder `OUTPUT.partial` to build in, renamed to `output` when the context ends well and removed when it fails.

    A killed program leaves `OUTPUT.partial`, which the next one replaces.

    Raises:
      UserError: `output` exists and is no empty folder, or cannot be made.
      RunError: the disk does not take what is written.
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
        with told_disk_errors(output):
            yield partial
            partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def replaced_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write, which takes the place of `path` when the context ends well and is removed when it fails.

    Its folder is made. A link of that name is replaced, not followed: in a folder of somebody else's it may lead anywhere. Of
    several processes that write the same file each has one of its own until then; the last to end wins.

    Raises:
      RunError: the disk does not take what is written.
    """
    partial = path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    with told_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(partial, "xb") as file:
                yield file
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)
