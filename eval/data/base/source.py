"""Where a benchmark's files are, their licence, and which of them a program may fetch."""

import dataclasses

GITHUB = "https://raw.githubusercontent.com"


@dataclasses.dataclass(frozen=True)
class PublicFile:
    """A file that a program may fetch.

    Attributes:
      path: its place in the data folder, as the manifest's template names it.
      url: its address.
      sha256: digest of the file at `path`, "" if unknown.
      member: the file inside the ZIP archive at the address that is extracted to `path`; "" if the
      address is the file itself.
      md5: digest of the download, "" if unknown.
    """

    path: str
    url: str
    sha256: str = ""
    member: str = ""
    md5: str = ""


@dataclasses.dataclass(frozen=True)
class Source:
    """Where a benchmark's files come from.

    Attributes:
      where: the site.
      licence: what the site says about it, in a few words.
      files: the files that `eval.data.download` fetches.
      by_hand: what else is needed and how to get it; "" if nothing.
    """

    where: str
    licence: str
    files: tuple[PublicFile, ...] = ()
    by_hand: str = ""


ELSEWHERE = Source("", "not stated")
"""The source of a benchmark that uses another's files, or of your own files."""


def from_github(
    repository: str, folder: str, names: dict[str, str], into: str
) -> tuple[PublicFile, ...]:
    """Files in a folder of `OWNER/NAME@COMMIT`, by name with SHA-256, to be saved in `into`."""
    repository, _, commit = repository.partition("@")
    address = f"{GITHUB}/{repository}/{commit}/{folder}"
    return tuple(
        PublicFile(f"{into}/{name}", f"{address}/{name}", sha256) for name, sha256 in names.items()
    )
