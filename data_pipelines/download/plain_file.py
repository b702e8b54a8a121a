"""A file at an address, resumed where it stopped and checked against a digest where one is
known."""

import re
from http.client import HTTPResponse
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError

from data_pipelines.download import resumable

BEYOND_THE_END = 416
"""The status of a range that the file does not have."""


def download_plain(
    url: str, target: Path, *, md5: str = "", licence: str, timeout: float, tries: int
) -> None:
    """Fetches a file to `target`, whose folder is made; a file that is there, whole and of this
    address, is kept.

    Args:
      md5: of the file, "" where it is not known. Without it a changed file is told from its ETag
        and size alone.
      licence: for FILE.provenance.json.
      timeout, tries: as the commands' options.

    Raises:
      UserError, RunError: as `resumable.complete`.
    """
    wanted = {"url": url} | ({"md5": md5} if md5 else {})
    name = f"the file at {url}"

    def append_rest(file: BinaryIO) -> None:
        _append_rest(file, url, timeout)

    resumable.complete(target, url, wanted, append_rest, tries, name=name, licence=licence)


def _append_rest(file: BinaryIO, url: str, timeout: float) -> None:
    """Appends the bytes that are missing, as far as one request brings them."""
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
            # A server that knows no ranges sends the whole file.
            file.truncate(0)
        elif held and (notes.get("etag"), notes.get("bytes")) != (tag, size):
            file.truncate(0)
            raise ConnectionError("the file has changed since its first bytes arrived")
        resumable.write_notes(resumable.notes_path(file), notes | {"etag": tag, "bytes": size})
        resumable.append_body(response, file, size)


def _size(response: HTTPResponse) -> int | None:
    """Bytes of the whole file, None where the server does not say."""
    ranged = response.headers.get("Content-Range", "")
    told = ranged.rpartition("/")[2] if ranged else response.headers.get("Content-Length", "")
    return int(told) if re.fullmatch("[0-9]+", told) else None
