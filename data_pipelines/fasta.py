"""Exports the proteins of a dataset as FASTA, for a sequence search.

`held_out.fasta` has the records of all held-out splits; `training.fasta` has all others, including
records without text. The headers are accessions.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.outputs import new_files
from data_pipelines.common.progress import print_status, progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import Split, open_dataset


def write_fasta(file: BinaryIO, splits: Iterable[Split]) -> int:
    """Writes the records of some splits, two lines each, and returns their number."""
    count = 0
    for split in splits:
        quick = split.without_features()
        for index in range(len(quick)):
            record = quick[index]
            file.write(f">{record.accession}\n{record.sequence}\n".encode())
        count += len(quick)
    return count


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Writes both FASTA files."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.fasta",
        epilog="Example: python -m data_pipelines.fasta --data_dir swissprot --output fasta",
        description=__doc__,
    )
    parser.add_argument(
        "--data_dir", required=True, type=Path, help="a dataset built by data_pipelines.build"
    )
    parser.add_argument(
        "--output", required=True, type=Path, help="folder for held_out.fasta and training.fasta"
    )
    args = parser.parse_args(arguments)
    splits = open_dataset(args.data_dir).splits
    if args.output.exists() and not args.output.is_dir():
        raise UserError(f"--output={args.output} is a file; choose a folder.")
    held_out = [name for name in splits if name in HELD_OUT]
    training = [name for name in splits if name not in HELD_OUT]
    names = {"held_out.fasta": held_out, "training.fasta": training}
    outputs = [args.output / file_name for file_name in names]
    with new_files(outputs) as paths:
        for path, output, chosen in zip(paths, outputs, names.values(), strict=True):
            shown = progress(chosen, description=output.name, unit="splits")
            with open(path, "wb") as file:
                count = write_fasta(file, (splits[name] for name in shown))
            print_status(f"{output}: {count:,} proteins")


if __name__ == "__main__":
    raise SystemExit(main())
