"""The options of the search command."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import refuse_existing
from data_pipelines.inputs.input_formats import BY_NAME, DESCRIPTION, TEXT_FORMATS, listed
from data_pipelines.inputs.source_options import refuse_unread
from data_pipelines.protanno.record import PREFIXES
from protclip_jax.retrieval.answer import check_least
from protclip_jax.retrieval.calibration import LEAST
from protclip_jax.retrieval.engine import TOP
from protclip_jax.retrieval.homology import HITS_HELP
from protclip_jax.retrieval.query import phrased
from protclip_jax.retrieval.scores import DEFINITION

OUTPUTS = (".tsv", ".csv", ".json", ".fasta")


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 on invalid arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.search",
        description="Finds the proteins of an index that are nearest to a text or a protein, and "
        "the labels that are nearest to a protein.",
        epilog="cosine: similarity of query and item in the space shared by proteins and texts. "
        "rank: position among all items of an exact index, or among the candidates of an "
        f"approximate one. {DEFINITION}. "
        "Example: python -m protclip_jax.search --checkpoint runs/demo --index "
        "proteins.index --text 'zinc-binding protease'",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="checkpoint that the index was made with",
    )
    add("--step", help="step number, best or latest (default: best if recorded, else latest)")
    add("--index", type=Path, metavar="DIR", help="index of proteins to search")
    add(
        "--labels",
        nargs="+",
        default=[],
        type=Path,
        metavar="DIR|FILE",
        help="libraries of labels to search, each separately: indexes made with `index --labels`, "
        "or files of labels, which are embedded each time; with or without --index",
    )
    add("--hits", type=Path, metavar="FILE", help=HITS_HELP)
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument(
        "--text",
        nargs="+",
        metavar="PROMPT",
        help="a query; several prompts for the same query are averaged. Training texts begin with "
        f"{listed([f'{prefix}:' for prefix in PREFIXES.values()])}; a text without such a prefix "
        f"is searched as '{phrased('…')}'",
    )
    query.add_argument("--sequence", help="residues of a query protein")
    query.add_argument(
        "--input",
        metavar="FILE",
        help=f"file of queries: {DESCRIPTION}; - reads stdin",
    )
    add(
        "--format",
        choices=BY_NAME,
        help="format of --input (default: by file name; fasta for stdin)",
    )
    add(
        "--modality",
        choices=("protein", "text"),
        help=f"content of --input (default: protein; text for {listed(TEXT_FORMATS)})",
    )
    add(
        "--column",
        help="table column with the texts (default: text) or the sequences (default: sequence, "
        "Sequence or seq)",
    )
    add(
        "--id_column",
        help="table column with the ids (default: id, Entry or accession, else the row number)",
    )
    add("--verbatim", action="store_true", help="search for texts without adding a prefix")
    add(
        "--taxon",
        nargs="+",
        metavar="ID|NAME",
        help="search only proteins of these organisms: NCBI taxonomy ids, which exclude the taxa "
        "below them, or prefixes of scientific names, such as 'Saccharomyces'; requires --index",
    )
    add(
        "--min_confidence",
        type=float,
        default=LEAST,
        metavar="SHARE",
        help="minimum confidence of the best hit for a confident answer (default %(default)s)",
    )
    add("--top", type=int, default=TOP, help="hits per query (default %(default)s)")
    add(
        "--output",
        metavar="FILE",
        help=f"new file named {listed([f'*{suffix}' for suffix in OUTPUTS])}; FASTA has the "
        "proteins found; - writes TSV to stdout (default: a formatted table on stdout)",
    )
    add(
        "--cpu_devices",
        type=int,
        help="virtual devices of a CPU (default: 1 for a single query, else one per core)",
    )
    options = parser.parse_args(arguments)
    if options.index is None and not options.labels:
        parser.error("give --index, --labels or both")
    return options


def check(options: argparse.Namespace) -> None:
    """Raises UserError for invalid or conflicting options."""
    if options.top < 1:
        raise UserError(f"--top={options.top} must be at least 1.")
    check_least(options.min_confidence, "--min_confidence")
    if options.index is None:
        refuse_unread(options, ("taxon", "hits"), owner="--index")
    if options.input is None:
        refuse_unread(options, ("hits",), owner="--input, whose proteins have ids")
    if options.output in (None, "-"):
        return
    suffix = Path(options.output).suffix
    if suffix not in OUTPUTS:
        raise UserError(
            f"--output={options.output} must be named *{', *'.join(OUTPUTS)}, or be - for stdout."
        )
    if suffix == ".fasta" and options.index is None:
        raise UserError(
            f"--output={options.output} needs proteins, which --labels does not find; give --index "
            "or choose another output format."
        )
    refuse_existing([Path(options.output)])
