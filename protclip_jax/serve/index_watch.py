"""Checks whether the files of an open index are still those that were mapped.

Reading a mapped file that was truncated kills the process with SIGBUS, which cannot be turned into
an error message. So the files are checked before each use. A file that was replaced by another of
the same name is not reopened: the mapping keeps the old one.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.index_folder import Index


class ChangedIndex(Exception):
    """A file of an open index was modified; the message says so in one sentence."""


class IndexWatch:
    """The state of the files of open indexes at construction."""

    def __init__(self, indexes: Iterable[Index]):
        files = (path for index in indexes for path in _files(index))
        self._known = {path: os.stat(path) for path in files}

    @classmethod
    def of(cls, engine: SearchEngine) -> "IndexWatch":
        """Watches all indexes of an engine."""
        proteins = [] if engine.proteins is None else [engine.proteins]
        return cls([*proteins, *engine.libraries.values()])

    def check(self) -> None:
        """Raises ChangedIndex if a file was modified in place."""
        for path, before in self._known.items():
            if _was_written_to(path, before):
                raise ChangedIndex(
                    f"{path} was changed while the server had it open; restart the server, and "
                    "write new indexes to another folder."
                )


def _files(index: Index) -> list[Path]:
    """The index's files; empty for labels that were embedded at startup."""
    return [index.folder / name for name in index.manifest.get("files", ())]


def _was_written_to(path: Path, before: os.stat_result) -> bool:
    try:
        now = os.stat(path)
    except OSError:
        return False
    is_same_file = (now.st_dev, now.st_ino) == (before.st_dev, before.st_ino)
    return is_same_file and (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns)
