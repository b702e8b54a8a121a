"""Seals a folder with the SHA-256 of each of its files, to detect later damage.

The list has the format of `sha256sum`, so `sha256sum --check SHA256SUMS` in the folder gives the
same result. The folder may be in a bucket.
"""

import errno
import hashlib
import os
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor

import fsspec
from etils import epath
from fsspec.implementations.local import LocalFileSystem

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_FILE_BYTES

CHECKSUMS = "SHA256SUMS"
_AT_ONCE = 8


def write(folder: epath.PathLike) -> None:
    """Seals a complete folder; a local one is synced to disk, so it survives a crash."""
    folder = epath.Path(folder)
    names = _sealable(list_files(folder))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        digests = pool.map(_digest, [folder / name for name in names])
        lines = [f"{digest}  {name}\n" for digest, name in zip(digests, names, strict=True)]
    (folder / CHECKSUMS).write_text("".join(lines))
    if "://" not in os.fspath(folder):
        for name in (*names, CHECKSUMS):
            _flush(folder / name)


def find_damage(folder: epath.PathLike, *, under: str = "") -> str | None:
    """Describes damage to the files whose names begin with `under`, in a few words.

    Returns None if they are as sealed.

    Raises:
      UserError: a file or folder may not be read, which says nothing about its bytes.
    """
    folder, files = epath.Path(folder), list_files(folder)
    if reason := _unreadable(files):
        return reason
    if CHECKSUMS not in files:
        return f"{CHECKSUMS} is missing"
    try:
        sealed = _parse((folder / CHECKSUMS).read_text(), under=under)
    except ValueError:
        return f"{CHECKSUMS} is damaged"
    present = {name for name in _sealable(files) if name.startswith(under)}
    for name in sorted(sealed.keys() | present):
        if name not in present:
            return f"{name} is missing"
        if name not in sealed:
            return f"{name} is not in {CHECKSUMS}"
        if reason := _difference(folder / name, sealed[name]):
            return f"{name} {reason}"
    return None if sealed else f"{CHECKSUMS} lists no {under or 'file'}"


def list_files(folder: epath.PathLike) -> dict[str, Mapping]:
    """Returns fsspec's information on every file below a folder, by the file's name in it.

    Raises:
      UserError: a folder may not be read.
    """
    path = os.fspath(folder)
    if "://" in path:
        system, root = fsspec.url_to_fs(path)
        found = system.find(root, detail=True)
    else:
        # url_to_fs would interpret "::" in a path.
        root = os.path.abspath(path)
        found = LocalFileSystem().find(root, detail=True, on_error=_refuse_unreadable)
    # Some programs mark folders in buckets by empty objects with a trailing slash.
    paths = [path for path in found if not path.endswith("/")]
    return {path.removeprefix(f"{root}/"): found[path] for path in paths}


def _unreadable(files: Mapping[str, Mapping]) -> str | None:
    """The first file that must not be read, in a few words."""
    for name, about in files.items():
        # Reading a pipe or device never ends; a link may be broken.
        if about["type"] != "file" and not os.path.isfile(about["name"]):
            return f"{name} is neither a file nor a folder"
        # Arrays are in folders named d; Orbax reads every other file into memory as a whole.
        if about["size"] > MAX_FILE_BYTES and "/d/" not in name:
            return f"{name} has {about['size']} bytes, too many for metadata"
    return None


def _parse(content: str, *, under: str) -> dict[str, str]:
    """Returns the hashes in a seal for names that begin with `under`.

    Raises:
      ValueError: `content` is not a seal.
    """
    *lines, rest = content.split("\n")
    if rest:
        raise ValueError("it does not end with a line")
    sealed = [line.split("  ", 1) for line in lines]
    return {name: digest for digest, name in sealed if name.startswith(under)}


def _difference(path: epath.Path, sealed: str) -> str | None:
    """How a file differs from the hash in the seal, in a few words."""
    try:
        return None if _digest(path) == sealed else "is not as it was saved"
    except OSError as error:
        if error.errno is None:  # a bucket's, which says nothing about the file
            raise
        _refuse_unreadable(error)
        return f"cannot be read: {error.strerror}"


def _refuse_unreadable(error: OSError) -> None:
    """Raises UserError for files that this process may not read.

    Not for files that are gone or broken on the disk.
    """
    if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.EIO):
        raise UserError(
            f"{error.filename} cannot be read ({error.strerror}); check its permissions and disk."
        ) from error


def _sealable(files: Collection[str]) -> list[str]:
    """The names to seal; names that begin with a dot belong to file systems and file managers."""
    shown = [name for name in files if not name.rpartition("/")[2].startswith(".")]
    return sorted(name for name in shown if name != CHECKSUMS)


def _digest(path: epath.Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(path: epath.Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
