"""Folders and files that appear under their names only when they are complete."""

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError, require_utf8


@contextlib.contextmanager
def finished_folder(output: Path) -> Iterator[Path]:
    """A folder `OUTPUT.partial` to build in, renamed to `output` when the context ends well and removed when it fails.

    A killed program leaves `OUTPUT.partial`, which the next one replaces.

    Raises:
      UserError: `output` exists and is no empty folder, cannot be made, or has a path that is not UTF-8.
      RunError: the disk does not take what is written.
    """
    output = output.resolve()
    require_utf8(output)
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        raise UserError(f"{output} exists and is not empty; remove it or name another --output.")
    partial = output.with_name(output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    try:
        partial.mkdir(parents=True)
    except OSError as error:
        raise UserError(f"{output} cannot be made ({error.strerror}); name another --output.") from error
    try:
        with report_disk_errors(output):
            yield partial
            partial.rename(output)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


@contextlib.contextmanager
def atomic_path(path: Path, *, partial: Path | None = None) -> Iterator[Path]:
    """A name to write a file to, which is on the disk and renamed to `path` when the context ends well, and removed otherwise.

    By default it lies beside `path` and no other process has it: of several that write the same file, the last to end wins. A
    link called `path` is replaced, not followed: in a folder of somebody else's it may lead anywhere.
    """
    partial = partial or path.with_name(f"{path.name}.{uuid.uuid4().hex}.partial")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def atomic_write(path: Path, content: str | bytes, *, partial: Path | None = None) -> None:
    """Writes a file (text as UTF-8) that is there whole or not at all; `partial` as in `atomic_path`."""
    with atomic_path(path, partial=partial) as written:
        written.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A new file to write, which takes the place of `path` as `atomic_path` does it; its folder is made.

    Raises:
      RunError: the disk does not take what is written.
    """
    with report_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as partial, open(partial, "xb") as file:
            yield file
