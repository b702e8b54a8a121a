"""Writes a small invented UniProt: proteins whose functions, locations and superfamilies are
planted in their residues.

A family (a cluster of `clusters.tsv`) is one ancestor: a random background with planted residues;
its members are diverged copies. What is planted is drawn independently per family, and every
function, location and superfamily occurs in many families, so held-out families can be read by what
was learnt on others. The residues of the three properties are disjoint and are written as `FT`
lines (`FEATURE_PROPERTY`). The texts are what an annotator would have written, with gaps and
mistakes.
"""

import argparse
import sys
from pathlib import Path

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.progress import tell
from data_pipelines.sample.generate import MAX_RECORDS, write
from data_pipelines.sample.world import WORLDS


@command
def main(arguments: list[str] | None = None) -> None:
    """Command line of the sample generator."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.sample",
        epilog="Example: python -m data_pipelines.sample --output sample",
        description=__doc__.partition("\n\n")[0],
    )
    parser.add_argument(
        "--output",
        type=Path,
        required=True,
        help="folder for sample.dat.gz, clusters.tsv and questions.tsv",
    )
    parser.add_argument(
        "--records", type=int, default=8000, help="number of entries (default %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of everything random (default %(default)s)"
    )
    parser.add_argument(
        "--like",
        choices=WORLDS,
        default="demo",
        help="demo: planted motifs; ordered: motifs with gaps and substitutions, whose order "
        "counts; uniprot: few Swiss-Prot entries among much TrEMBL, with its errors; misleading: "
        "the same, but entries of existence 4 and 5 are all wrong (default %(default)s)",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.records <= MAX_RECORDS:
        raise UserError(f"--records is {options.records}; ask for 1 to {MAX_RECORDS} records.")
    write(options.output, records=options.records, seed=options.seed, world=WORLDS[options.like])
    tell(f"wrote {options.records:,} entries, their clusters and questions into {options.output}")


if __name__ == "__main__":
    sys.exit(main())
