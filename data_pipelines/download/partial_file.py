"""A file that gets its name only when it is complete: FILE.partial until then, FILE.provenance.json beside it."""

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress

_MEBIBYTE = 1 << 20


def provenance_path(path: str | Path) -> Path:
    """FILE.provenance.json: where a downloaded file comes from, its UniProt release (`release`), and its `sha256`."""
    return Path(f"{path}.provenance.json")


def read_notes(path: Path) -> dict:
    """The object that a JSON file holds; empty if there is no such file or it holds something else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class PartialFile:
    """FILE.partial, open for appending, and what is known of it in FILE.partial.json.

    Attributes:
      length: bytes that it holds.
      notes: what has been noted of them, here or in an earlier run; empty for bytes of unknown origin.
    """

    def __init__(self, target: Path, file: FileIO):
        """From the final path and the open and locked file."""
        self.target = target
        self.path = Path(file.name)
        self._file = file
        self._notes_path = Path(f"{self.path}.json")
        self.length = file.seek(0, os.SEEK_END)
        self.notes = read_notes(self._notes_path)

    def append(self, block: bytes) -> None:
        """Writes bytes at the end.

        Raises:
          UserError: the disk does not take them.
        """
        rest = memoryview(block)
        with _disk(self.path):
            while rest:
                written = self._file.write(rest)
                self.length += written
                rest = rest[written:]

    def cut(self, length: int) -> None:
        """Forgets the bytes after the first `length`."""
        with _disk(self.path):
            self._file.truncate(length)
        self.length = length

    def restart(self, **notes: object) -> None:
        """Forgets everything, for bytes of which there are other notes."""
        self._notes_path.unlink(missing_ok=True)
        self.cut(0)
        self.notes = {}
        self.note(**notes)

    def note(self, **notes: object) -> None:
        """Adds notes that survive this program."""
        self.notes |= notes
        with _disk(self.path):
            _write_json(self._notes_path, self.notes)

    def finish(self, provenance: Mapping) -> None:
        """Gives the file its name, with its provenance beside it."""
        with _disk(self.path):
            os.fsync(self._file.fileno())
            _write_json(provenance_path(self.target), provenance)
            os.replace(self.path, self.target)
        self._notes_path.unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes the partial file: its bytes are of no use."""
        self._notes_path.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


@contextlib.contextmanager
def partial_file(target: Path) -> Iterator[PartialFile]:
    """FILE.partial as an earlier run left it, or new, locked for this process until the context ends; its folder is made.

    An empty one is removed in the end.

    Raises:
      UserError: it cannot be written, or another process has it.
    """
    path = target.with_name(target.name + ".partial")
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer, so that closing cannot fail where writing has.
        file = open(path, "ab", buffering=0)  # noqa: SIM115 - closed below
    with file:
        _lock(file, path)
        partial = PartialFile(target, file)
        try:
            yield partial
        finally:
            if not partial.length:
                partial.discard()


def _lock(file: FileIO, path: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        taken = not (path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat()))
    except BlockingIOError:
        taken = True
    except OSError:
        # Some network file systems have no locks; nobody else is known to write.
        taken = False
    if taken:
        raise UserError(f"{path} is being written by another run; wait for it, or name another --output.")


def digests(path: Path) -> dict[str, str]:
    """Hex MD5 and SHA-256 of a file's content."""
    md5, sha256 = hashlib.md5(usedforsecurity=False), hashlib.sha256()
    with _disk(path), open(path, "rb") as file:
        total = -(-os.fstat(file.fileno()).st_size // _MEBIBYTE)
        blocks = iter(lambda: file.read(_MEBIBYTE), b"")
        for block in progress(blocks, description=f"checking {path.name}", unit="MiB", total=total):
            md5.update(block)
            sha256.update(block)
    return {"md5": md5.hexdigest(), "sha256": sha256.hexdigest()}


def _write_json(path: Path, value: Mapping) -> None:
    atomic_write(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{path} cannot be read or written ({error.strerror or error}); make room or mend it and run the same line again, "
            "which goes on with what has come."
        ) from error
