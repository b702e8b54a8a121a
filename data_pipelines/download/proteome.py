"""Downloads the entries of one proteome from UniProt's REST service, page by page.

UniProt recommends pages for important downloads: its `stream` service fails in the middle of large
ones and cannot resume. There are no checksums. The service gives the number of entries and their
release, and the entries of each page are counted.
"""

import gzip
import re
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.download import resumable

PAGE_ENTRIES = 500
"""Entries per page, UniProt's maximum."""


def download_proteome(upid: str, output: Path, base_url: str, timeout: float, tries: int) -> Path:
    """Downloads a proteome such as `UP000005640` to the folder `output`; returns the file's path.

    `timeout` and `tries` are as in the command.

    Raises:
      UserError: UniProt has no entries of the proteome, or as in `resumable.complete`.
      RunError: a disk error occurs while writing.
    """
    target, url = output / f"{upid}.dat.gz", _search_url(upid, base_url)
    wanted = _stated(upid, url, timeout, tries)

    def append_rest(file: BinaryIO) -> None:
        _append_rest(file, url, wanted, timeout)

    resumable.complete(target, url, wanted, append_rest, tries)
    return target


def count_entries(upid: str, base_url: str, timeout: float, tries: int) -> int:
    """How many entries UniProt says that a proteome has; raises `UserError` where it has none."""
    return _stated(upid, _search_url(upid, base_url), timeout, tries)["entries"]


def _search_url(upid: str, base_url: str) -> str:
    return f"{base_url}/uniprotkb/search?query=proteome:{upid}"


def _stated(upid: str, url: str, timeout: float, tries: int) -> dict:
    """What the service says of a proteome: `release` and `entries`, of which there is one."""
    first = f"{url}&format=list&size=1"
    wanted, _, _ = resumable.persist(lambda: _read(first, timeout), first, tries)
    if not wanted["entries"]:
        raise UserError(
            f"UniProtKB has no entries of proteome {upid}; check the id, and whether UniProt "
            f"excludes it as redundant, at https://www.uniprot.org/proteomes/{upid}."
        )
    return wanted


def _append_rest(file: BinaryIO, url: str, wanted: dict, timeout: float) -> None:
    """Appends the missing pages as gzip members of flat-file text."""
    path, total = resumable.notes_path(file), wanted["entries"]
    nothing = {"bytes": 0, "entries": 0, "next": ""}
    notes = nothing | resumable.read_notes(path)
    if resumable.length(file) < notes["bytes"]:
        notes |= nothing
    # A page that was truncated at the end of an earlier run is downloaded again.
    file.truncate(notes["bytes"])
    done, name = notes["entries"], file.name.rpartition("/")[2]
    with progress(description=name, unit="entries", total=total, initial=done) as bar:
        while done < total:
            page = f"{url}&format=txt&compressed=true&size={PAGE_ENTRIES}{notes['next']}"
            found, body, following = _read(page, timeout)
            if found != wanted:
                raise UserError(
                    f"UniProt changed from release {wanted['release']} ({total} entries) to "
                    f"{found['release']} ({found['entries']} entries); rerun the command."
                )
            entries = gzip.decompress(body).count(b"\n//\n")
            if entries != (expected := min(PAGE_ENTRIES, total - done)):
                raise ConnectionError(f"the page has {entries} entries instead of {expected}")
            file.write(body)
            file.flush()
            done += entries
            notes |= {"bytes": resumable.length(file), "entries": done, "next": following}
            resumable.write_notes(path, notes)
            bar.update(entries)


def _read(url: str, timeout: float) -> tuple[dict, bytes, str]:
    """Reads one page; also returns facts on the whole proteome and the next page's URL suffix.

    Only the cursor of the URL that the service gives is used, so it cannot lead elsewhere.
    """
    with resumable.request(url, timeout) as response:
        headers, body = response.headers, response.read()
    entries = headers.get("X-Total-Results", "")
    if not re.fullmatch("[0-9]+", entries):
        raise UserError(f"{url} gives no entry count (X-Total-Results); check --base_url.")
    wanted = {"release": headers.get("X-UniProt-Release", ""), "entries": int(entries)}
    cursor = re.search("[?&](cursor=[^&>]+)", headers.get("Link", ""))
    return wanted, body, f"&{cursor[1]}" if cursor else ""
