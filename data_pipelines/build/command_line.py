"""The command line of `python -m data_pipelines.build`."""

import argparse
from pathlib import Path

from data_pipelines.build.question_file import COLUMNS
from data_pipelines.readers.source_formats import DESCRIPTION

MINHASH, NONE = "minhash", "none"
"""Ways to find similarity clusters, `--cluster`."""


def make_parser() -> argparse.ArgumentParser:
    """The options of a build."""
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.build",
        epilog="Example: "
        "python -m data_pipelines.build --input uniprot_sprot.dat.gz --output swissprot",
        description="Builds the ProtAnno dataset (in TFDS format) from UniProt files.",
    )
    add = parser.add_argument
    add(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        help=f"source files, plain or .gz: {DESCRIPTION}",
    )
    add("--output", type=Path, required=True, help="folder for the dataset, new or empty")
    add(
        "--clusters",
        type=Path,
        help="file of similarity clusters, which are held out whole: TSV of cluster id and "
        "accession, or CD-HIT's .clstr",
    )
    add(
        "--cluster_field",
        metavar="FIELD",
        help="read similarity clusters from this field of a lab's JSON lines",
    )
    add(
        "--cluster",
        choices=(NONE, MINHASH),
        default=NONE,
        help="how to find similarity clusters: k-mer MinHash or not at all (default: %(default)s)",
    )
    add(
        "--exclude_fasta",
        type=Path,
        nargs="+",
        default=[],
        metavar="FASTA",
        help="leave out all sequences in these files",
    )
    add(
        "--exclude_entries",
        nargs="+",
        default=[],
        metavar="FIELD[=VALUE]",
        help="leave out a lab's JSON entries whose field is true, or equals or contains the value",
    )
    share = {"type": float, "metavar": "F"}
    add(
        "--validation_fraction",
        default=0.05,
        **share,
        help="share of the clusters (default: %(default)s)",
    )
    add(
        "--test_fraction",
        default=0.05,
        **share,
        help="share of the clusters (default: %(default)s)",
    )
    add(
        "--random_test_fraction",
        **share,
        help="share of the training records to hold out at random "
        "(default: 0.02 with clusters, else 0)",
    )
    add(
        "--identities",
        type=Path,
        metavar="FILE",
        help="search hits of held-out against training proteins, or another dataset's "
        "nearest.tsv.gz; see docs/data.md",
    )
    add(
        "--max_rejected_fraction",
        default=1.0,
        **share,
        help="fail if a larger share of entries is rejected (default: %(default)s, never)",
    )
    add(
        "--questions",
        type=Path,
        help=f"a TSV of questions about single properties, with the columns {', '.join(COLUMNS)}",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="build even if most sequences look like nucleotides",
    )
    add(
        "--skip_overlap",
        action="store_true",
        help="skip the search for relatives of held-out records in training",
    )
    add(
        "--workers",
        type=int,
        help="processes of the local runner (default: one per core, a single one for small inputs)",
    )
    add(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="how to run; beam needs the apache-beam package (default: %(default)s)",
    )
    add(
        "--beam_options",
        default="",
        help="options for Beam in one string: "
        "--beam_options='--runner=FlinkRunner --parallelism=64'",
    )
    return parser
