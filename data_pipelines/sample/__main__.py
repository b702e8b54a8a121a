"""Writes a small synthetic UniProt, whose functions and locations are planted in its sequences.

A family (a cluster in `clusters.tsv`) has one ancestor: a random background with planted residues.
Its members are diverged copies. What is planted is drawn independently per family. Every function,
location and superfamily occurs in many families, so held-out families can be predicted from what
was learnt on others. The residues of the three properties are disjoint and are written as `FT`
lines (`FEATURE_PROPERTY`). The texts are what an annotator would have written, with gaps and
mistakes.
"""

import argparse
import sys
from pathlib import Path

from data_pipelines.common.errors import UserError, command
from data_pipelines.common.progress import print_status
from data_pipelines.sample.generate import MAX_RECORDS, write
from data_pipelines.sample.world import WORLDS


@command
def main(arguments: list[str] | None = None) -> None:
    """Writes a sample with the options of the command line."""
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
        "--records", type=int, default=8000, help="number of entries (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="random seed (default: %(default)s)")
    parser.add_argument(
        "--like",
        choices=WORLDS,
        default="demo",
        help="demo: planted motifs; ordered: motifs with gaps and substitutions, where the order "
        "matters; uniprot: few Swiss-Prot and many TrEMBL entries, with its errors; misleading: "
        "the same, but all properties at existence levels 4 and 5 are wrong "
        "(default: %(default)s)",
    )
    options = parser.parse_args(arguments)
    if not 1 <= options.records <= MAX_RECORDS:
        raise UserError(f"--records {options.records} must be from 1 to {MAX_RECORDS}.")
    write(options.output, records=options.records, seed=options.seed, world=WORLDS[options.like])
    print_status(
        f"wrote {options.records:,} entries, their clusters and questions to {options.output}"
    )


if __name__ == "__main__":
    sys.exit(main())
