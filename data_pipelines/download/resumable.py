"""Resumable downloads: FILE.partial is renamed when complete and gets FILE.provenance.json."""

import datetime
import fcntl
import hashlib
import http.client
import json
import os
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import urlsplit

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.disk_errors import DISK_ERRORS, report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.progress import print_status, progress

LICENCE = "CC BY 4.0, UniProt Consortium, https://www.uniprot.org/help/license"
_MEBIBYTE = 1 << 20
PASSING = {408, 425, 429, 500, 502, 503, 504}
"""HTTP statuses of servers that may answer later."""

Result = TypeVar("Result")
AppendRest = Callable[[BinaryIO], None]


def complete(
    target: Path,
    url: str,
    wanted: dict,
    append_rest: AppendRest,
    tries: int,
    *,
    name: str = "",
    licence: str = LICENCE,
) -> None:
    """Downloads a file unless a complete and correct one exists.

    Args:
      wanted: known facts; for UniProt `release`, and `bytes` and `md5`, or `entries`.
      append_rest: appends the rest to FILE.partial, which only has bytes of the wanted file.
      name: the expected file in an error about other content; by default UniProt's current one.
      licence: the text for FILE.provenance.json.

    Raises:
      UserError: the download fails, the MD5 is wrong, or another file has the name.
      RunError: a disk error occurs while writing.
    """
    if target.exists():
        print_status(f"checking {target}")
        known = read_notes(provenance_path(target))
        if wanted.items() <= known.items() and known.get("sha256") == file_sha256(target):
            return
        raise UserError(
            f"{target} exists and is not {name or _current(wanted)}; "
            "remove it or choose another --output."
        )
    partial = Path(f"{target}.partial")
    with report_disk_errors(partial, kept="it resumes with the data received so far"):
        partial.parent.mkdir(parents=True, exist_ok=True)
        _refuse_foreign(partial)
        with open(partial, "ab") as file:
            _claim(file, wanted)
            persist(lambda: append_rest(file), url, tries, lambda: length(file))
            facts = _provenance(file, {"url": url} | wanted)
            write_notes(provenance_path(target), facts | {"licence": licence})
            notes_path(file).unlink()
            os.replace(partial, target)


def _current(wanted: dict) -> str:
    return f"UniProt's current file, release {wanted['release']}"


def persist(attempt: Callable[[], Result], url: str, tries: int, position=lambda: 0) -> Result:
    """Repeats `attempt` with growing pauses after broken connections or gzip data.

    Only consecutive attempts without progress in `position` (the bytes received) count, so a long
    download survives any number of broken connections.

    Raises:
      UserError: `tries` attempts brought nothing new, or the server refuses permanently.
    """
    furthest, failures = position(), 0
    while True:
        try:
            return attempt()
        except (OSError, EOFError, zlib.error, http.client.HTTPException) as error:
            if getattr(error, "errno", None) in DISK_ERRORS:
                raise
            if isinstance(error, urllib.error.HTTPError) and error.code not in PASSING:
                raise UserError(f"cannot download {url} ({error}); check --base_url.") from error
            failures = 1 if position() > furthest else failures + 1
            furthest = max(furthest, position())
            if failures >= tries:
                reason = str(error).strip("<>")
                raise UserError(
                    f"cannot download {url} ({reason}) after {failures} attempts; check the "
                    "connection, then rerun the command to resume with the data received so far."
                ) from error
        time.sleep(min(2.0 ** (failures - 1), 120.0))


def request(url: str, timeout: float, start: int = 0) -> http.client.HTTPResponse:
    """Sends a GET request (from byte `start` on) and returns the response; for `persist`."""
    headers = {"User-Agent": "protclip_jax data_pipelines.download"}
    headers |= {"Range": f"bytes={start}-"} if start else {}
    response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout)
    if urlsplit(response.url).scheme != urlsplit(url).scheme:
        raise UserError(f"{url} redirects to another scheme, {response.url}; check --base_url.")
    return response


def append_body(response: http.client.HTTPResponse, file: BinaryIO, size: int | None) -> None:
    """Appends the response until the file has `size` bytes, or the whole response if None.

    Raises:
      ConnectionError: the response ended early.
    """
    total = None if size is None else -(-size // _MEBIBYTE)
    initial, name = length(file) // _MEBIBYTE, file.name.rpartition("/")[2]
    with progress(description=name, unit="MiB", total=total, initial=initial) as bar:
        while block := response.read1(
            _MEBIBYTE if size is None else min(_MEBIBYTE, size - length(file))
        ):
            file.write(block)
            file.flush()
            bar.update(length(file) // _MEBIBYTE - bar.n)
    if size is not None and length(file) < size:
        raise ConnectionError(f"the response ended after {length(file)} of {size} bytes")


def length(file: BinaryIO) -> int:
    """The current size of an open file in bytes."""
    return os.fstat(file.fileno()).st_size


def provenance_path(path: str | Path) -> Path:
    """FILE.provenance.json, with a downloaded file's origin, `release` and `sha256`."""
    return Path(f"{path}.provenance.json")


def notes_path(partial: BinaryIO | Path) -> Path:
    """FILE.partial.json, which identifies the file being downloaded and has the source's notes."""
    return Path(f"{partial if isinstance(partial, Path) else partial.name}.json")


def read_notes(path: Path) -> dict:
    """Reads the object in a JSON file; empty if the file is missing or has other content."""
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_notes(path: Path, notes: dict) -> None:
    """Writes a JSON file atomically."""
    atomic_write(path, json.dumps(notes, indent=2, ensure_ascii=False) + "\n")


def _refuse_foreign(partial: Path) -> None:
    """Raises UserError for a non-empty FILE.partial without notes, which another program made."""
    if os.path.lexists(partial) and partial.stat().st_size and not notes_path(partial).exists():
        raise UserError(
            f"{partial} was created by another program and would be overwritten; "
            "rename it or choose another --output."
        )


def _claim(file: BinaryIO, wanted: dict) -> None:
    """Locks FILE.partial, and empties it if it belongs to another file."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(f"another run is writing {file.name}; wait until it ends.") from error
    except OSError as error:
        raise UserError(
            f"{file.name} cannot be locked ({error}); choose another --output."
        ) from error
    if read_notes(notes_path(file)).get("wanted") != wanted:
        file.truncate(0)
        write_notes(notes_path(file), {"wanted": wanted})


def _provenance(file: BinaryIO, facts: dict) -> dict:
    """Adds digests and date to the facts; empties the file if its MD5 is wrong."""
    print_status(f"checking {file.name}")
    with open(file.name, "rb") as content:
        md5 = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if facts.get("md5", md5) != md5:
        file.truncate(0)
        source = f" (from release {facts['release']})" if "release" in facts else ""
        raise UserError(
            f"{facts['url']} has the MD5 {md5}; expected {facts['md5']}{source}. The download was "
            "damaged, or the server is updating to a new release; the file was removed, "
            "so rerun the command."
        )
    os.fsync(file.fileno())
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    facts |= {"bytes": length(file), "md5": md5, "sha256": file_sha256(Path(file.name))}
    return facts | {"downloaded": now}
