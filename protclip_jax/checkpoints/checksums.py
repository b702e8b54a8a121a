"""A seal on a folder: the SHA-256 of each of its files, by which later damage is found.

The list is written as `sha256sum` writes it, so that `sha256sum --check SHA256SUMS` in the folder finds the same.
"""

import hashlib
import os
import pathlib
from collections.abc import Callable, Collection, Mapping

from data_pipelines.common.json_object import MAX_FILE_BYTES

CHECKSUMS = "SHA256SUMS"


def write(folder: pathlib.Path) -> None:
    """Seals a folder that is complete; on return it is on the disk, whatever happens to the machine."""
    content = text({name: _digest(folder / name, sync=True) for name in _names(folder)})
    with open(folder / CHECKSUMS, "w", encoding="utf-8") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def find_damage(folder: pathlib.Path, *, under: str = "") -> str | None:
    """What is wrong with the files whose names begin with `under`, in a few words; None where they are as they were sealed."""
    if special := next((path for path in folder.rglob("*") if not (path.is_file() or path.is_dir())), None):
        # A pipe or device would be read without end, a link that leads nowhere not at all.
        return f"{special.relative_to(folder)} is neither a file nor a folder"
    try:
        if (size := (folder / CHECKSUMS).stat().st_size) > MAX_FILE_BYTES:
            return f"{CHECKSUMS} has {size} bytes"
        sealed = parse((folder / CHECKSUMS).read_text(encoding="utf-8"), under=under)
    except OSError as error:
        return f"{CHECKSUMS} cannot be read: {error.strerror}"
    except ValueError:
        return f"{CHECKSUMS} is damaged"
    present = [name for name in _names(folder) if name.startswith(under)]
    return missing_or_unknown(sealed, present, under=under) or difference(sealed, lambda name: _digest(folder / name))


def text(digests: Mapping[str, str]) -> str:
    """The content of a seal on files of these names and hashes."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def parse(content: str, *, under: str = "") -> dict[str, str]:
    """The hashes in a seal by the names that begin with `under`. Raises `ValueError` for something else than a seal."""
    *lines, rest = content.split("\n")
    if rest:
        raise ValueError("it does not end with a line")
    return {name: digest for digest, name in (line.split("  ", 1) for line in lines) if name.startswith(under)}


def missing_or_unknown(sealed: Mapping[str, str], present: Collection[str], *, under: str) -> str | None:
    """How the names of the files that are there differ from those in the seal, in a few words."""
    if missing := sealed.keys() - present:
        return f"{min(missing)} is missing"
    if unknown := set(present) - sealed.keys():
        return f"{min(unknown)} is not in {CHECKSUMS}"
    return None if sealed else f"{CHECKSUMS} lists no {under or 'file'}"


def difference(sealed: Mapping[str, str], digest: Callable[[str], str]) -> str | None:
    """The first file whose `digest` is not the sealed one, in a few words."""
    for name, as_sealed in sorted(sealed.items()):
        try:
            if digest(name) != as_sealed:
                return f"{name} is not as it was saved"
        except OSError as error:
            return f"{name} cannot be read: {error.strerror}"
    return None


def _names(folder: pathlib.Path) -> list[str]:
    """The files to seal; names that begin with a dot belong to file systems and file managers."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    return sorted(name for path in paths if (name := path.relative_to(folder).as_posix()) != CHECKSUMS)


def _digest(path: pathlib.Path, *, sync: bool = False) -> str:
    with open(path, "rb") as file:
        if sync:
            os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()
