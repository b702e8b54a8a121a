"""Downloads UniProt files, resumed where they stopped and checked: the only command that uses the network.

`swissprot` and `trembl` are the flat files of UniProt's current release, checked against its size and MD5; `proteome:UPID` is
one proteome, whose entries are counted. A file that has its name is whole, and FILE.provenance.json beside it says what it is.
"""

import argparse
import datetime
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from data_pipelines.common.errors import UserError, command
from data_pipelines.download import proteome, release_file
from data_pipelines.download.fetch import Patience
from data_pipelines.download.partial_file import digests, partial_file, provenance_path, read_notes

FILES = {"swissprot": "uniprot_sprot.dat.gz", "trembl": "uniprot_trembl.dat.gz"}
FILES_URL = "https://ftp.uniprot.org/pub/databases/uniprot/current_release/knowledgebase/complete"
REST_URL = "https://rest.uniprot.org"
LICENCE = "CC BY 4.0, UniProt Consortium, https://www.uniprot.org/help/license"

_PROTEOME = re.compile(r"proteome:(UP\d{9})")
_PATIENCE = Patience()


def download_file(name: str, output: Path, *, base_url: str = FILES_URL, patience: Patience = _PATIENCE) -> Path:
    """Fetches a file of UniProt's current release into the folder `output`, and returns its path.

    Raises:
      UserError: it cannot be fetched or written, is not what the release's metadata say, or another file has its name.
    """
    target, url = output / name, f"{base_url}/{name}"
    wanted = release_file.read_metadata(base_url, name, patience=patience)
    if not _is_there(target, release=wanted.release, md5=wanted.md5):
        with partial_file(target) as partial:
            found = release_file.receive(partial, url=url, wanted=wanted, patience=patience)
            partial.finish(_provenance(url=url, release=wanted.release, bytes=wanted.bytes) | found)
    return target


def download_proteome(upid: str, output: Path, *, base_url: str = REST_URL, patience: Patience = _PATIENCE) -> Path:
    """Fetches the entries of a proteome, such as `UP000005640`, into the folder `output`, and returns the file's path.

    Raises:
      UserError: they cannot be fetched or written, UniProt has none, or another file has its name.
    """
    target = output / f"{upid}.dat.gz"
    wanted = proteome.ask(base_url, upid, patience=patience)
    if not _is_there(target, release=wanted.release, entries=wanted.entries):
        with partial_file(target) as partial:
            proteome.receive(partial, base_url=base_url, proteome=upid, wanted=wanted, patience=patience)
            facts = {"release": wanted.release, "bytes": partial.length, "entries": wanted.entries}
            partial.finish(
                _provenance(url=f"{base_url}/uniprotkb/search?query=proteome:{upid}", **facts) | digests(partial.path)
            )
    return target


def _is_there(target: Path, **wanted: object) -> bool:
    """Whether the file is there already, whole and as wanted.

    Raises:
      UserError: its name is taken by another file.
    """
    if not target.exists():
        return False
    known = read_notes(provenance_path(target))
    if all(known.get(key) == value for key, value in wanted.items()) and known.get("sha256") == digests(target)["sha256"]:
        return True
    raise UserError(
        f"{target} exists and is not UniProt's current one, release {wanted['release']}; remove it or name another --output."
    )


def _provenance(**facts: object) -> dict:
    return facts | {"downloaded": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"), "licence": LICENCE}


def _base_url(text: str) -> str:
    parts = urlsplit(text)
    # Reading the port checks it.
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0 or not re.fullmatch(r"[!-~]+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no http:// or https:// address")
    return text.rstrip("/")


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Downloads one file and prints its path."""
    parser = argparse.ArgumentParser(prog="python -m data_pipelines.download", description=__doc__.split("\n")[0])
    parser.add_argument("what", metavar="swissprot|trembl|proteome:UPID", help="what to download, e.g. proteome:UP000005640")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="the folder for the file; made if missing")
    parser.add_argument(
        "--base_url", type=_base_url, help=f"a mirror of {FILES_URL} or, for a proteome, of {REST_URL}", metavar="URL"
    )
    parser.add_argument(
        "--timeout", type=float, default=_PATIENCE.timeout, help="seconds without a byte to give a connection up (%(default)s)"
    )
    parser.add_argument(
        "--tries", type=int, default=_PATIENCE.tries, help="tries in a row that may bring nothing new (%(default)s)"
    )
    args = parser.parse_args(arguments)
    if not (args.timeout > 0 and args.tries > 0):
        raise UserError(f"--timeout {args.timeout} and --tries {args.tries} must be above 0.")
    options = {"patience": Patience(timeout=args.timeout, tries=args.tries)}
    options |= {"base_url": args.base_url} if args.base_url else {}
    if name := FILES.get(args.what):
        path = download_file(name, args.output, **options)
    elif match := _PROTEOME.fullmatch(args.what):
        path = download_proteome(match[1], args.output, **options)
    else:
        raise UserError(f"{args.what!r} is not swissprot, trembl or proteome:UP and nine digits, e.g. proteome:UP000005640.")
    print(path)


if __name__ == "__main__":
    sys.exit(main())
