"""Where a benchmark's files are, under which licence, and which of them a program may fetch."""

import dataclasses

GITHUB = "https://raw.githubusercontent.com"


@dataclasses.dataclass(frozen=True)
class PublicFile:
    """A file that anybody may fetch.

    Attributes:
      path: where it goes in the data folder, as the manifest's template names it.
      url: its address.
      sha256: of the file at `path`, "" where it is not known.
      member: the file within the ZIP archive at the address that goes to `path`; "" where the
        address is the file's own.
      md5: of what is at the address, "" where it is not known.
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
      where: their home.
      licence: what the home says, in a few words.
      files: those that `eval.data.download` fetches.
      by_hand: what else is needed, and how one gets it; "" if nothing is.
    """

    where: str
    licence: str
    files: tuple[PublicFile, ...] = ()
    by_hand: str = ""


ELSEWHERE = Source("", "not stated")
"""Of a benchmark that takes another's files, or your own."""


def from_github(
    repository: str, folder: str, names: dict[str, str], into: str
) -> tuple[PublicFile, ...]:
    """Files of a folder of `OWNER/NAME@COMMIT`, by name with their SHA-256, that go to the
    folder `into`."""
    repository, _, commit = repository.partition("@")
    address = f"{GITHUB}/{repository}/{commit}/{folder}"
    return tuple(
        PublicFile(f"{into}/{name}", f"{address}/{name}", sha256) for name, sha256 in names.items()
    )
