"""`python -m eval.data.proteins`: writes the benchmarks' proteins as FASTA.

For `python -m eval --embeddings`. Each distinct sequence is written once, under the hash by which
`eval.public.vector_file` finds it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import sequence_hash
from data_pipelines.common.outputs import new_file
from data_pipelines.common.progress import print_status
from eval.benchmarks.families import BENCHMARKS, family_of
from eval.data import manifest
from eval.data.base.proteins import proteins_of

LINE = 60
"""Residues."""


def sequences_of(data_dir: Path, names: Sequence[str]) -> Iterator[str]:
    """Yields the sequences that need vectors, benchmark by benchmark; some repeat."""
    for name in names:
        family = family_of(name)
        if family.beyond_vectors:
            print_status(f"{name} is left out: it needs {family.beyond_vectors}.")
        else:
            yield from proteins_of(family.parts(manifest.load(data_dir, name)))


def _chosen(data_dir: Path, requested: Sequence[str]) -> list[str]:
    """The named benchmarks; by default all whose data are in the folder."""
    if unknown := [name for name in requested if name not in (*BENCHMARKS, "all")]:
        raise UserError(
            f"unknown benchmark {unknown[0]!r}; expected all or {', '.join(BENCHMARKS)}."
        )
    return manifest.available(data_dir)[0] if "all" in requested else list(dict.fromkeys(requested))


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the FASTA file."""
    parser = argparse.ArgumentParser(
        prog="python -m eval.data.proteins",
        epilog="Example: python -m eval.data.proteins --data_dir public --output proteins.fasta",
        description=__doc__,
    )
    parser.add_argument(
        "--data_dir",
        type=Path,
        required=True,
        metavar="DIR",
        help="the folder with the benchmarks' data",
    )
    parser.add_argument(
        "--benchmarks", nargs="+", default=["all"], metavar="NAME", help="default: all that DIR has"
    )
    parser.add_argument(
        "--output", type=Path, required=True, metavar="FILE", help="the FASTA file to write"
    )
    options = parser.parse_args(arguments)
    names = _chosen(options.data_dir, options.benchmarks)
    distinct = dict.fromkeys(sequences_of(options.data_dir, names))
    if not distinct:
        raise UserError(
            f"{options.data_dir} holds no benchmark that needs only vectors of proteins; run "
            f"`python -m eval.data.manifest --data_dir {options.data_dir}` to list what it holds."
        )
    with new_file(options.output) as path, open(path, "w", encoding="ascii") as file:
        for sequence in distinct:
            lines = [sequence[start : start + LINE] for start in range(0, len(sequence), LINE)]
            file.write("\n".join([f">{sequence_hash(sequence)}", *lines, ""]))
    print_status(f"wrote {options.output}: {len(distinct):,} proteins of {len(names)} benchmarks.")


if __name__ == "__main__":
    sys.exit(main())
