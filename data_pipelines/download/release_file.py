"""Downloads a file of a UniProt release; checks size and MD5 with the `RELEASE.metalink` file."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError
from data_pipelines.download.resumable import append_body, complete, length, persist, request

METADATA = "RELEASE.metalink"


def download_file(name: str, output: Path, base_url: str, timeout: float, tries: int) -> Path:
    """Downloads a file of UniProt's current release to the folder `output`; returns its path.

    `timeout` and `tries` are as in the command. Raises as in `complete` and `read_metadata`.
    """
    target, url, metadata_url = output / name, f"{base_url}/{name}", f"{base_url}/{METADATA}"
    wanted = persist(lambda: read_metadata(metadata_url, name, timeout), metadata_url, tries)
    complete(target, url, wanted, lambda file: _append_rest(file, url, wanted, timeout), tries)
    return target


def read_metadata(url: str, name: str, timeout: float) -> dict:
    """Reads `release`, `bytes` and `md5` of a file from a metalink document (version 3).

    Raises:
      UserError: the document lacks them.
    """
    with request(url, timeout) as response:
        document = response.read()
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise UserError(f"{url} is not a metalink document ({error}); check --base_url.") from error
    listed = root.iterfind(".//{*}file")
    named = [file for file in listed if file.get("name", "").rpartition("/")[2] == name]
    file = named[0] if named else root
    release, size = root.findtext("{*}version", "").strip(), file.findtext("{*}size", "").strip()
    md5 = file.findtext(".//{*}hash[@type='md5']", "").strip().lower()
    if not (release and re.fullmatch("[0-9]+", size) and re.fullmatch("[0-9a-f]{32}", md5)):
        raise UserError(f"{url} lacks the release, size or MD5 of {name}; check --base_url.")
    return {"release": release, "bytes": int(size), "md5": md5}


def _append_rest(file: BinaryIO, url: str, wanted: dict, timeout: float) -> None:
    """Appends the missing bytes, as many as one request returns."""
    size = wanted["bytes"]
    if length(file) == size:
        return
    held = length(file) if length(file) < size else 0
    file.truncate(held)
    with request(url, timeout, start=held) as response:
        part = response.headers.get("Content-Range", "")
        total = (part or response.headers.get("Content-Length", "")).rpartition("/")[2]
        if total not in ("", "*", str(size)):
            raise UserError(
                f"{url} has {total} bytes, but release {wanted['release']} lists {size}; the "
                "server is probably updating: try again later, or choose a mirror with --base_url."
            )
        if not part.startswith(f"bytes {held}-"):
            # The server does not support ranges and sent the whole file, or it sent another range.
            file.truncate(0)
            if part:
                raise ConnectionError(f"the server sent {part} instead of the bytes from {held}")
        append_body(response, file, size)
