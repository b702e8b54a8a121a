"""Files of a folder of our own that are there whole or not at all; `outputs` makes what users
name."""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: Path, *, partial: Path | None = None) -> Iterator[Path]:
    """A name to write a file to, which is on the disk and renamed to `path` when the context ends
    well, and removed otherwise.

    By default it lies beside `path` and no other process has it: of several that write the same
    file, the last to end wins. A link called `path` is replaced, not followed: in a folder of
    somebody else's it may lead anywhere.
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
    """Writes a file (text as UTF-8) that is there whole or not at all; `partial` as in
    `atomic_path`."""
    with atomic_path(path, partial=partial) as written:
        written.write_bytes(content.encode() if isinstance(content, str) else content)
