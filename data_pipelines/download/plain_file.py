"""Downloads a file from a URL; resumes, and checks its digest if one is known."""

import re
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError

from data_pipelines.download import resumable

BEYOND_THE_END = 416
"""The HTTP status for a range beyond the end of the file."""


def download_plain(
    url: str, target: Path, *, md5: str = "", licence: str, timeout: float, tries: int
) -> None:
    """Downloads a file to `target` and creates its folder; keeps a complete file of the same URL.

    Args:
      md5: the file's MD5, "" if unknown. Without it, a changed file is only detected by ETag and
        size.
      licence: the text for FILE.provenance.json.
      timeout, tries: as in the commands' options.

    Raises:
      UserError, RunError: as in `resumable.complete`.
    """
    wanted = {"url": url} | ({"md5": md5} if md5 else {})
    name = f"the file at {url}"

    def append_rest(file: BinaryIO) -> None:
        _append_rest(file, url, timeout)

    resumable.complete(target, url, wanted, append_rest, tries, name=name, licence=licence)


def _append_rest(file: BinaryIO, url: str, timeout: float) -> None:
    """Appends the missing bytes, as many as one request returns."""
    notes = resumable.read_notes(resumable.notes_path(file))
    held = resumable.length(file)
    if held and held == notes.get("bytes"):
        return
    try:
        response = resumable.request(url, timeout, start=held)
    except HTTPError as error:
        if error.code != BEYOND_THE_END:
            raise
        file.truncate(0)
        raise ConnectionError(f"the file has fewer than {held} bytes, so it has changed") from error
    with response:
        size, tag = _size(response), response.headers.get("ETag", "")
        if not response.headers.get("Content-Range", "").startswith(f"bytes {held}-"):
            # A server without range support sends the whole file.
            file.truncate(0)
        elif held and (notes.get("etag"), notes.get("bytes")) != (tag, size):
            file.truncate(0)
            raise ConnectionError("the file has changed since its first bytes arrived")
        resumable.write_notes(resumable.notes_path(file), notes | {"etag": tag, "bytes": size})
        resumable.append_body(response, file, size)


def _size(response: HTTPResponse) -> int | None:
    """The size of the whole file in bytes; None if the server does not give it."""
    ranged = response.headers.get("Content-Range", "")
    size = ranged.rpartition("/")[2] if ranged else response.headers.get("Content-Length", "")
    return int(size) if re.fullmatch("[0-9]+", size) else None
