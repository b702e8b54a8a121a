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
        description="Finds the proteins of an index nearest to a text or a protein, or the labels "
        "nearest to a protein, or both.",
        epilog="cosine: similarity of query and item in the space shared by proteins and texts. "
        "rank: place among all items "
        f"of an exact index, or among the candidates of an approximate one. {DEFINITION}. "
        "Example: python -m protclip_jax.search --checkpoint runs/demo --index "
        "proteins.index --text 'zinc-binding protease'",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="the checkpoint that the index was made with",
    )
    add("--step", help="a step's number, best or latest (default: best if recorded, else latest)")
    add("--index", type=Path, metavar="DIR", help="find proteins of this index")
    add(
        "--labels",
        nargs="+",
        default=[],
        type=Path,
        metavar="DIR|FILE",
        help="find labels, of each library by itself: indexes made with `index --labels`, or files "
        "of labels, which are embedded each time; with --index or without",
    )
    add("--hits", type=Path, metavar="FILE", help=HITS_HELP)
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument(
        "--text",
        nargs="+",
        metavar="PROMPT",
        help="one question; several prompts for it are averaged. A text that begins with no "
        f"{', no '.join(PREFIXES.values())} "
        f"is asked as '{phrased('…')}', for so the texts begin that a model learns from",
    )
    query.add_argument("--sequence", help="one protein's residues")
    query.add_argument(
        "--input",
        metavar="FILE",
        help=f"many questions: {DESCRIPTION}; - reads stdin",
    )
    add("--format", choices=BY_NAME, help="of --input (default: by its name; fasta for stdin)")
    add(
        "--modality",
        choices=("protein", "text"),
        help=f"of --input (default: protein; text for {listed(TEXT_FORMATS)})",
    )
    add(
        "--column",
        help="of a table, with the texts or sequences (default: text; sequence, Sequence or seq)",
    )
    add(
        "--id_column",
        help="of a table, with the ids (default: id, Entry or accession, else the row's number)",
    )
    add("--verbatim", action="store_true", help="ask texts exactly as they are")
    add(
        "--taxon",
        nargs="+",
        metavar="ID|NAME",
        help="only proteins of these organisms: ids of NCBI's taxonomy, without the taxa below "
        "them, or how scientific names "
        "begin, as 'Saccharomyces'; with --index",
    )
    add(
        "--min_confidence",
        type=float,
        default=LEAST,
        metavar="SHARE",
        help="a best hit of a lower confidence counts as no confident answer (default %(default)s)",
    )
    add("--top", type=int, default=TOP, help="hits for each question (default %(default)s)")
    add(
        "--output",
        metavar="FILE",
        help=f"a new file named *{', *'.join(OUTPUTS)}, in FASTA the proteins found; - writes "
        "TSV to stdout (default: a table for people on stdout)",
    )
    add(
        "--cpu_devices",
        type=int,
        help="virtual devices of a CPU (default: 1 for a single question, else its cores)",
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
            f"--output={options.output} takes proteins, and --labels finds none; give --index, or "
            "name another --output."
        )
    refuse_existing([Path(options.output)])
