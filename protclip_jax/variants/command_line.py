"""Command-line options of `python -m protclip_jax.variants`, and the files that they name."""

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import INPUT_FORMATS, Lines
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.source_options import choose_source, is_piped, refuse_unread, spool
from data_pipelines.readers import SUFFIXES
from protclip_jax.distributed.cpu_devices import MAX_CPU_DEVICES
from protclip_jax.inference.variant_effects import JOINTLY, METHODS
from protclip_jax.inference.windows import DEFAULT_WINDOWS, POLICIES

FIGURES, TABLE = (".png", ".svg", ".pdf"), ".tsv"
ENTRIES = "entries"
ENTRY_SUFFIXES = tuple(suffix for suffix in SUFFIXES if suffix != ".tsv")
FORMATS = (*(f.name for f in INPUT_FORMATS if f.modalities[0] == "protein"), ENTRIES)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 on an invalid one."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.variants",
        epilog="Example: python -m protclip_jax.variants --checkpoint runs/demo --sequence "
        "MKTAYIAKQR --scan --output scan.tsv",
        description="Scores substitutions by the masked language model: log odds of the new "
        "residue against the wild type; 0 means no difference, and most scores are below 0.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="checkpoint with an mlm_head; may be a gs:// path",
    )
    add("--step", help="step number, best or latest (default: best if recorded, else latest)")
    protein = parser.add_mutually_exclusive_group(required=True)
    protein.add_argument("--sequence", help="residues of one protein")
    protein.add_argument(
        "--input",
        metavar="FILE",
        help="proteins: FASTA, a table with a column of sequences, or UniProt entries "
        f"({', '.join(ENTRY_SUFFIXES)}); plain or gzip; - reads FASTA from stdin",
    )
    add("--format", choices=FORMATS, help="format of --input (default: from its name)")
    add("--column", help="table column with sequences (default: sequence, Sequence or seq)")
    add("--id_column", help="table column with ids (default: id, Entry or accession)")
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--mutations",
        type=Path,
        metavar="FILE",
        help="one mutation per line, such as A24G, or A24G:C30D for several substitutions; or a "
        "table with a column mutant and, for several proteins, a column id",
    )
    group.add_argument("--scan", action="store_true", help="score every single substitution")
    add(
        "--first_position",
        type=int,
        default=1,
        help="number of the sequence's first residue in mutations (default %(default)s)",
    )
    add(
        "--method",
        choices=METHODS,
        default=JOINTLY,
        help="masked_jointly masks all positions of a mutation at once, masked_singly one at a "
        "time; they agree on single substitutions. wild_type masks nothing and needs one pass for "
        "all (default %(default)s)",
    )
    text = parser.add_mutually_exclusive_group()
    text.add_argument(
        "--text",
        help="function of the one protein; adds the column text_change, the change of the cosine "
        "between protein and text, for which every variant is read: 19 times the work of a scan",
    )
    text.add_argument(
        "--own_text",
        action="store_true",
        help="like --text, with UniProt's text of each protein; needs entries as --input",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"*{TABLE}; or, for a scan of one protein, a heat map *{', *'.join(FIGURES)}, with "
        f"the {TABLE} beside it",
    )
    add(
        "--long_proteins",
        choices=POLICIES,
        default=DEFAULT_WINDOWS.policy,
        help="proteins of more than --max_residues: read a window around each position, or only "
        "the first residues, or the whole protein (default %(default)s)",
    )
    add(
        "--max_residues",
        type=int,
        default=DEFAULT_WINDOWS.max_residues,
        help="residues of a window (default %(default)s)",
    )
    add(
        "--overlap",
        type=int,
        default=DEFAULT_WINDOWS.overlap,
        help="overlap of windows, in residues, when whole proteins are read (default %(default)s)",
    )
    add("--accept_doubtful", action="store_true", help="also score what looks like nucleotides")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="default %(default)s")
    add("--batch_tokens", type=int, help="tokens per call of the model, as in embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual CPU devices (default: the number of cores, at most {MAX_CPU_DEVICES})",
    )
    return parser.parse_args(arguments)


def output_paths(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """Returns the paths of the table and, if requested, of the figure.

    Raises:
      UserError: the suffix is unknown, or a figure is requested without a scan.
    """
    output = options.output
    if output.suffix not in (TABLE, *FIGURES):
        expected = f"*{TABLE}, *{', *'.join(FIGURES)}"
        raise UserError(f"--output={output} has an unknown suffix; name it {expected}.")
    if output.suffix == TABLE:
        return output, None
    if not options.scan:
        raise UserError(f"--output={output} is a heat map and needs --scan; name it *{TABLE}.")
    return output.with_suffix(TABLE), output


def chosen_source(options: argparse.Namespace, folder: Path) -> Source | RecordSource:
    """Returns the source of the proteins; copies input that can be read only once.

    Raises:
      UserError: the format is unknown, or does not work with another option.
    """
    if options.sequence is not None:
        refuse_unread(options, ("format", "column", "id_column"), owner="--input")
        path = folder / "sequence.txt"
        path.write_text(options.sequence.replace("\n", " ") + "\n", encoding="utf-8")
        return Source(path=path, format=Lines.name, modality="protein")
    path = Path(options.input)
    by_name = path.name.lower().removesuffix(".gz").endswith(ENTRY_SUFFIXES)
    if options.format == ENTRIES or (options.format is None and by_name):
        refuse_unread(options, ("column", "id_column"), owner="tables")
        return RecordSource(path=path)
    options.modality = "protein"
    source = choose_source(options)
    if is_piped(path):
        source = dataclasses.replace(source, path=spool(path, folder / "stdin"))
    return source
