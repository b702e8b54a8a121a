"""A file of a UniProt release, resumed where it stopped and checked against the release's metadata.

UniProt lists size and MD5 of every file of a folder in the folder's `RELEASE.metalink`.
"""

import dataclasses
import re
import shutil
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from email.message import Message
from http import HTTPStatus
from http.client import HTTPResponse

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.download.fetch import Interrupted, Patience, persist, read_blocks, read_body, request
from data_pipelines.download.partial_file import PartialFile, digests

METADATA = "RELEASE.metalink"

_MEBIBYTE = 1 << 20
_METADATA_LIMIT = 16 * _MEBIBYTE


@dataclasses.dataclass(frozen=True)
class ReleaseFile:
    """What the release's metadata say of a file: release such as `2026_03`, size, hex MD5."""

    release: str
    bytes: int
    md5: str


def read_metadata(folder_url: str, name: str, *, patience: Patience) -> ReleaseFile:
    """Asks a folder's RELEASE.metalink for the file `name`.

    Raises:
      UserError: it cannot be fetched, or does not describe the file.
    """
    url = f"{folder_url}/{METADATA}"

    def attempt() -> bytes:
        with request(url, patience=patience) as response:
            return read_body(response, limit=_METADATA_LIMIT)

    return parse_metadata(persist(attempt, url=url, patience=patience), name=name, url=url)


def parse_metadata(document: bytes, *, name: str, url: str) -> ReleaseFile:
    """The entry of a file in a metalink document (version 3, any namespace).

    Raises:
      UserError: the document is no such thing, or does not describe the file.
    """
    fix = "check --base_url, or try again later"
    try:
        root = ElementTree.fromstring(document)
    except ElementTree.ParseError as error:
        raise UserError(f"{url} is no metalink document ({error}); {fix}.") from error
    listed = root.iterfind(".//{*}file")
    file = next((file for file in listed if file.get("name", "").rpartition("/")[2] == name), None)
    if file is None:
        raise UserError(f"{url} does not list {name}; {fix}.")
    release, size = ((node.findtext(tag) or "").strip() for node, tag in ((root, "{*}version"), (file, "{*}size")))
    hashes = {node.get("type"): (node.text or "").strip().lower() for node in file.iterfind(".//{*}hash")}
    if not (release and size.isascii() and size.isdigit() and re.fullmatch("[0-9a-f]{32}", hashes.get("md5", ""))):
        raise UserError(f"{url} lacks the release, size or MD5 of {name}; {fix}.")
    return ReleaseFile(release, int(size), hashes["md5"])


def receive(partial: PartialFile, *, url: str, wanted: ReleaseFile, patience: Patience) -> dict[str, str]:
    """Fetches what `partial` lacks of the file and returns its MD5 and SHA-256; what is there of another file is dropped.

    Raises:
      UserError: it cannot be fetched or written, or is not what the metadata say; then nothing of it is left.
    """
    identity = dataclasses.asdict(wanted)
    if partial.notes.get("wanted") != identity or partial.length > wanted.bytes:
        partial.restart(wanted=identity)
    _refuse_full_disk(partial, wanted.bytes - partial.length)
    total = -(-wanted.bytes // _MEBIBYTE)
    with progress(description=partial.target.name, unit="MiB", total=total, initial=partial.length // _MEBIBYTE) as bar:

        def attempt() -> None:
            if partial.length < wanted.bytes:
                _receive_rest(partial, url=url, wanted=wanted, patience=patience, moved=lambda: _show(bar, partial.length))

        persist(attempt, url=url, patience=patience, position=lambda: partial.length)
    found = digests(partial.path)
    if found["md5"] != wanted.md5:
        partial.discard()
        raise UserError(
            f"{url} has the MD5 {found['md5']}, release {wanted.release} says {wanted.md5}: it was damaged on the way or the "
            "server is changing to a new release; it was removed, so run the same line again."
        )
    return found


def _receive_rest(
    partial: PartialFile, *, url: str, wanted: ReleaseFile, patience: Patience, moved: Callable[[], None]
) -> None:
    """One request for the bytes that are missing."""
    with request(url, patience=patience, headers=_range(partial)) as response:
        start, total = _content(response)
        if total.isdigit() and int(total) != wanted.bytes:
            raise UserError(
                f"{url} has {total} bytes, release {wanted.release} says {wanted.bytes}: the server is changing to a new "
                "release; try again later, or name a mirror as --base_url."
            )
        if start != partial.length:
            # The whole file, as the server knows no ranges or the file has changed; or a part that was not asked for.
            partial.restart(wanted=partial.notes["wanted"])
            if start:
                raise Interrupted("the server sent another part than asked for")
        partial.note(validator=_validator(response.headers))
        for block in read_blocks(response):
            partial.append(block[: wanted.bytes - partial.length])
            moved()
    if partial.length < wanted.bytes:
        raise Interrupted(f"the connection ended after {partial.length} of {wanted.bytes} bytes")


def _range(partial: PartialFile) -> dict[str, str]:
    """Asks for the rest, and for the whole file if it has changed since."""
    if not partial.length:
        return {}
    validator = partial.notes.get("validator")
    return {"Range": f"bytes={partial.length}-"} | ({"If-Range": validator} if validator else {})


def _validator(headers: Message) -> str:
    """What If-Range may name: a strong ETag or the date of the last change."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified", "")


def _content(response: HTTPResponse) -> tuple[int, str]:
    """Where the body starts in the file, -1 if that cannot be read, and how long the file is, '' if that is not told."""
    if response.status != HTTPStatus.PARTIAL_CONTENT:
        return 0, response.headers.get("Content-Length", "")
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", "").strip())
    return (int(match[1]), match[2]) if match else (-1, "")


def _refuse_full_disk(partial: PartialFile, missing: int) -> None:
    free = shutil.disk_usage(partial.path.parent).free
    if missing > free:
        raise UserError(
            f"{partial.path.parent} has {free / 1e9:.3g} GB free, {partial.target.name} needs {missing / 1e9:.3g} GB more; "
            "make room or name another --output."
        )


def _show(bar, length: int) -> None:
    bar.update(length // _MEBIBYTE - bar.n)
