"""Downloads UniProt files; resumes interrupted downloads and verifies the result.

Only this command and `eval.data.download` use the network. `swissprot` and `trembl` are the flat
files of UniProt's current release, checked against their published size and MD5. `proteome:UPID` is
one proteome, whose entries are counted. A file with its final name is complete, and
FILE.provenance.json beside it describes its origin.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError, command
from data_pipelines.download.connection_options import (
    add_connection_options,
    check_connection_options,
)
from data_pipelines.download.proteome import download_proteome
from data_pipelines.download.release_file import download_file

FILES = {"swissprot": "uniprot_sprot.dat.gz", "trembl": "uniprot_trembl.dat.gz"}
FILES_URL = "https://ftp.uniprot.org/pub/databases/uniprot/current_release/knowledgebase/complete"
REST_URL = "https://rest.uniprot.org"


def _base_url(text: str) -> str:
    if not re.fullmatch(r"https?://([^][:/?#\s]+|\[[0-9a-fA-F:.]+\])(:\d+)?(/[!-~]*)?", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an http:// or https:// address")
    return text.rstrip("/")


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Downloads one file and prints its path."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.download",
        epilog="Example: python -m data_pipelines.download swissprot --output downloads",
        description=__doc__.partition("\n\n")[0],
    )
    parser.add_argument(
        "what",
        metavar="swissprot|trembl|proteome:UPID",
        help="what to download, such as proteome:UP000005640",
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the file; created if missing",
    )
    parser.add_argument(
        "--base_url",
        type=_base_url,
        help=f"a mirror of {FILES_URL} or, for a proteome, of {REST_URL}",
        metavar="URL",
    )
    add_connection_options(parser)
    args = parser.parse_args(arguments)
    check_connection_options(args)
    if name := FILES.get(args.what):
        path = download_file(
            name, args.output, args.base_url or FILES_URL, args.timeout, args.tries
        )
    elif match := re.fullmatch(r"proteome:(UP\d{9})", args.what):
        path = download_proteome(
            match[1], args.output, args.base_url or REST_URL, args.timeout, args.tries
        )
    else:
        raise UserError(
            f"unknown download {args.what!r}; expected swissprot, trembl, or a proteome such as "
            "proteome:UP000005640."
        )
    print(path)


if __name__ == "__main__":
    sys.exit(main())
