"""Atomic writes for files inside the program's own folders.

`outputs` handles the files and folders that users name.
"""

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: Path, *, partial: Path | None = None) -> Iterator[Path]:
    """Yields a path to write to; renames it to `path` on success and removes it on failure.

    The file is flushed to disk before the rename. By default the temporary name is unique and lies
    beside `path`, so when several processes write the same file, the last one to finish wins. If
    `path` is a symbolic link, the link is replaced, not followed: in somebody else's folder it may
    point anywhere.
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
    """Writes a file (text as UTF-8) atomically; `partial` as in `atomic_path`."""
    with atomic_path(path, partial=partial) as written:
        written.write_bytes(content.encode() if isinstance(content, str) else content)
