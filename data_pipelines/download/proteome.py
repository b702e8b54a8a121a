"""The entries of one proteome from UniProt's REST service, page by page, each page counted and the run resumable.

UniProt advises pages for downloads that matter: its `stream` service fails in the middle of large ones and cannot go on.
There are no checksums; the service says how many entries there are and which release they are of.
"""

import dataclasses
import gzip
import re
import zlib
from urllib.parse import parse_qs, urlencode, urlsplit

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.download.fetch import Interrupted, Patience, persist, read_body, request
from data_pipelines.download.partial_file import PartialFile

PAGE_ENTRIES = 500
"""Entries of a page, UniProt's largest."""

_PAGE_LIMIT = 1 << 30
_NEXT = re.compile(r'<([^>]*)>\s*;\s*rel="?next"?')


@dataclasses.dataclass(frozen=True)
class Answer:
    """The service's answer to a search: what it says of all entries, and one page of them.

    Attributes:
      release: UniProt's release, '' if it was not told.
      entries: of the whole proteome.
      body: the page as it came.
      cursor: names the next page, '' on the last.
    """

    release: str
    entries: int
    body: bytes
    cursor: str


def ask(base_url: str, proteome: str, *, patience: Patience) -> Answer:
    """Release and number of entries of a proteome, such as `UP000005640`.

    Raises:
      UserError: the service cannot be asked, or has no entries of it.
    """
    answer = _search(base_url, proteome, patience=patience, format="list", size="1")
    if not answer.entries:
        raise UserError(
            f"UniProtKB has no entries of proteome {proteome}: check the id, or whether UniProt excludes it as redundant, "
            f"at https://www.uniprot.org/proteomes/{proteome}."
        )
    return answer


def receive(partial: PartialFile, *, base_url: str, proteome: str, wanted: Answer, patience: Patience) -> None:
    """Fetches the pages that `partial` lacks, as gzip members of flat-file text.

    Raises:
      UserError: they cannot be fetched or written, or belong to another release; then nothing is left.
    """
    identity = {"proteome": proteome, "release": wanted.release, "entries": wanted.entries}
    if partial.notes.get("wanted") != identity or partial.length < partial.notes.get("bytes", 0):
        partial.restart(wanted=identity, bytes=0, entries=0, cursor="")
    # A page that was cut off by the end of an earlier run is fetched again.
    partial.cut(partial.notes["bytes"])
    done = partial.notes["entries"]
    with progress(description=partial.target.name, unit="entries", total=wanted.entries, initial=done) as bar:
        while done < wanted.entries:
            expected = min(PAGE_ENTRIES, wanted.entries - done)
            page = _page(base_url, proteome, cursor=partial.notes["cursor"], expected=expected, patience=patience)
            if (page.release, page.entries) != (wanted.release, wanted.entries):
                partial.discard()
                raise UserError(
                    f"UniProt changed from release {wanted.release} ({wanted.entries} entries) to {page.release} "
                    f"({page.entries} entries) while {proteome} was fetched; run the same line again."
                )
            partial.append(page.body)
            done += expected
            partial.note(bytes=partial.length, entries=done, cursor=page.cursor)
            bar.update(expected)


def _page(base_url: str, proteome: str, *, cursor: str, expected: int, patience: Patience) -> Answer:
    """One page with as many entries as expected."""
    page = {"format": "txt", "compressed": "true", "size": str(PAGE_ENTRIES)} | ({"cursor": cursor} if cursor else {})
    return _search(base_url, proteome, patience=patience, expected=expected, **page)


def _search(base_url: str, proteome: str, *, patience: Patience, expected: int | None = None, **parameters: str) -> Answer:
    """Asks the service until it answers; with `expected`, until the page holds that many entries."""
    url = f"{base_url}/uniprotkb/search?{urlencode({'query': f'proteome:{proteome}'} | parameters)}"

    def attempt() -> Answer:
        with request(url, patience=patience) as response:
            total = response.headers.get("X-Total-Results", "")
            if not (total.isascii() and total.isdigit()):
                raise UserError(f"{url} does not say how many entries there are (X-Total-Results); check --base_url.")
            answer = Answer(
                release=response.headers.get("X-UniProt-Release", ""),
                entries=int(total),
                body=read_body(response, limit=_PAGE_LIMIT),
                cursor=_next_cursor(response.headers.get("Link", "")),
            )
        if expected is not None and (found := count_entries(answer.body)) != expected:
            raise Interrupted(f"the page holds {found} entries instead of {expected}")
        return answer

    return persist(attempt, url=url, patience=patience)


def count_entries(body: bytes) -> int:
    """How many whole flat-file entries a gzip body holds.

    Raises:
      Interrupted: it is no gzip data, or cut off.
    """
    try:
        text = gzip.decompress(body)
    except (OSError, EOFError, zlib.error) as error:
        raise Interrupted(f"the page is no sound gzip data ({error})") from error
    if not text.endswith(b"\n//\n"):
        raise Interrupted("the page does not end with an entry")
    return text.count(b"\n//\n")


def _next_cursor(link: str) -> str:
    """The cursor of a `Link` header's next page. Only that, so that an answer cannot send the program elsewhere."""
    match = _NEXT.search(link)
    return parse_qs(urlsplit(match[1]).query).get("cursor", [""])[0] if match else ""
