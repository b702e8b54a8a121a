"""What UniProt offers, by the names that commands take: `swissprot`, `trembl`, `proteome:UPID`."""

import re
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.download import resumable
from data_pipelines.download.proteome import count_entries, download_proteome
from data_pipelines.download.release_file import METADATA, download_file, read_metadata

FILES = {"swissprot": "uniprot_sprot.dat.gz", "trembl": "uniprot_trembl.dat.gz"}
FILES_URL = "https://ftp.uniprot.org/pub/databases/uniprot/current_release/knowledgebase/complete"
REST_URL = "https://rest.uniprot.org"
_PROTEOME = re.compile(r"proteome:(UP\d{9})")


class Connection(NamedTuple):
    """How to reach UniProt or a mirror.

    Attributes:
      base_url: of a mirror of `FILES_URL` or, for a proteome, of `REST_URL`; None for UniProt.
      timeout: seconds without a byte to give a connection up.
      tries: in a row that may bring nothing new.
    """

    base_url: str | None
    timeout: float
    tries: int


class Extent(NamedTuple):
    """How large something is: of a file its bytes, of a proteome its entries; None where UniProt
    does not say."""

    bytes: int | None
    entries: int | None


def file_name(what: str) -> str:
    """The name of the downloaded file.

    Raises:
      UserError: UniProt offers nothing of that name.
    """
    if name := FILES.get(what):
        return name
    return f"{_proteome_id(what)}.dat.gz"


def fetch(what: str, output: Path, connection: Connection) -> Path:
    """Downloads a file into a folder, resumed and checked; returns its path.

    Raises:
      UserError, RunError: as `file_name` and `resumable.complete`.
    """
    base_url, timeout, tries = connection
    if name := FILES.get(what):
        return download_file(name, output, base_url or FILES_URL, timeout, tries)
    return download_proteome(_proteome_id(what), output, base_url or REST_URL, timeout, tries)


def extent(what: str, connection: Connection) -> Extent:
    """How large a download is, by UniProt's own words.

    Raises:
      UserError: as `fetch`.
    """
    base_url, timeout, tries = connection
    if name := FILES.get(what):
        url = f"{base_url or FILES_URL}/{METADATA}"
        stated = resumable.persist(lambda: read_metadata(url, name, timeout), url, tries)
        return Extent(stated["bytes"], None)
    entries = count_entries(_proteome_id(what), base_url or REST_URL, timeout, tries)
    return Extent(None, entries)


def _proteome_id(what: str) -> str:
    if match := _PROTEOME.fullmatch(what):
        return match[1]
    raise UserError(
        f"unknown download {what!r}; expected swissprot, trembl, or a proteome such as "
        "proteome:UP000005640."
    )
