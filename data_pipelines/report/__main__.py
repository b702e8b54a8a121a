"""Writes the report of a built dataset, a page and figures, to its folder `report`.

It uses only the dataset's `statistics.json`.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import command
from data_pipelines.protanno.dataset_info import read_statistics
from data_pipelines.report.page import write_report


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Rewrites the report of a built dataset and prints its path."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.report",
        epilog="Example: python -m data_pipelines.report --data_dir runs/sample/protanno",
        description=__doc__.partition("\n\n")[0],
    )
    parser.add_argument(
        "--data_dir", type=Path, required=True, metavar="DIR", help="folder of a built dataset"
    )
    directory = parser.parse_args(arguments).data_dir
    write_report(directory, read_statistics(directory))
    print(directory / "report" / "report.md")


if __name__ == "__main__":
    sys.exit(main())
