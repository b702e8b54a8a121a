"""Downloads UniProt files; resumes interrupted downloads and verifies the result.

Only this command, `eval.setup` and `eval.data.download` use the network. `swissprot` and `trembl`
are the flat files of UniProt's current release, checked against their published size and MD5.
`proteome:UPID` is one proteome, whose entries are counted. A file with its final name is complete,
and FILE.provenance.json beside it describes its origin.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import command
from data_pipelines.download.connection_options import (
    add_connection_options,
    base_url,
    check_connection_options,
)
from data_pipelines.download.sources import FILES_URL, REST_URL, Connection, fetch


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
        type=base_url,
        help=f"a mirror of {FILES_URL} or, for a proteome, of {REST_URL}",
        metavar="URL",
    )
    add_connection_options(parser)
    args = parser.parse_args(arguments)
    check_connection_options(args)
    connection = Connection(args.base_url, args.timeout, args.tries)
    print(fetch(args.what, args.output, connection))


if __name__ == "__main__":
    sys.exit(main())
