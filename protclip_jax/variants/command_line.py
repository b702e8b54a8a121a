"""The options of `python -m protclip_jax.variants`, and the input and outputs that they name."""

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
from protclip_jax.inference.cpu_devices import MAX_CPU_DEVICES
from protclip_jax.inference.variant_effects import JOINTLY, METHODS
from protclip_jax.inference.windows import DEFAULT_WINDOWS, POLICIES

FIGURES, TABLE = (".png", ".svg", ".pdf"), ".tsv"
ENTRIES = "entries"
ENTRY_SUFFIXES = tuple(suffix for suffix in SUFFIXES if suffix != ".tsv")
FORMATS = (*(f.name for f in INPUT_FORMATS if f.modalities[0] == "protein"), ENTRIES)


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.variants",
        epilog="Example: python -m protclip_jax.variants --checkpoint runs/demo --sequence "
        "MKTAYIAKQR --scan --output scan.tsv",
        description="Scores substitutions by the masked language model: the log odds of the new "
        "residue against the wild type's, 0 for no difference, mostly below 0.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="a checkpoint with an mlm_head, also gs://",
    )
    add("--step", help="a step's number, best or latest (default: best if recorded, else latest)")
    protein = parser.add_mutually_exclusive_group(required=True)
    protein.add_argument("--sequence", help="the protein's residues")
    protein.add_argument(
        "--input",
        metavar="FILE",
        help="proteins: FASTA, a table with a column of sequences, or UniProt entries "
        f"({', '.join(ENTRY_SUFFIXES)}); plain or gzip; - reads FASTA from stdin",
    )
    add("--format", choices=FORMATS, help="of --input (default: by its name)")
    add("--column", help="of a table, with the sequences (default: sequence, Sequence or seq)")
    add("--id_column", help="of a table, with the ids (default: id, Entry or accession)")
    asked = parser.add_mutually_exclusive_group(required=True)
    asked.add_argument(
        "--mutations",
        type=Path,
        metavar="FILE",
        help="a mutation a line, such as A24G, or A24G:C30D of several substitutions; or a table "
        "with a column mutant and, for several proteins, id",
    )
    asked.add_argument("--scan", action="store_true", help="every substitution of one residue")
    add(
        "--first_position",
        type=int,
        default=1,
        help="the number of a sequence's first residue in mutations (default %(default)s)",
    )
    add(
        "--method",
        choices=METHODS,
        default=JOINTLY,
        help="masked_jointly masks all positions of a mutation at once, masked_singly one at a "
        "time; they agree on single substitutions. wild_type masks nothing: one pass for all "
        "(default %(default)s)",
    )
    text = parser.add_mutually_exclusive_group()
    text.add_argument(
        "--text",
        help="what the one protein does: adds the column text_change, the change of the cosine "
        "between protein and text. It reads every variant, 19 times the work of a scan",
    )
    text.add_argument(
        "--own_text",
        action="store_true",
        help="the same with what UniProt says of each protein; for an --input of entries",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"*{TABLE}, or for the scan of one protein a heat map *{', *'.join(FIGURES)}, beside "
        f"which the {TABLE} is put",
    )
    add(
        "--long_proteins",
        choices=POLICIES,
        default=DEFAULT_WINDOWS.policy,
        help="of more than --max_residues, a position is read in the window around it; or only "
        "the first residues are, or the whole protein (default %(default)s)",
    )
    add(
        "--max_residues", type=int, default=DEFAULT_WINDOWS.max_residues, help="default %(default)s"
    )
    add(
        "--overlap",
        type=int,
        default=DEFAULT_WINDOWS.overlap,
        help="residues that windows share where whole proteins are read (default %(default)s)",
    )
    add("--accept_doubtful", action="store_true", help="score what looks like nucleotides as well")
    add("--dtype", choices=("float32", "bfloat16"), default="float32", help="default %(default)s")
    add("--batch_tokens", type=int, help="tokens of one call of the model, as for embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual devices of a CPU (default: its cores, at most {MAX_CPU_DEVICES})",
    )
    return parser.parse_args(arguments)


def output_paths(options: argparse.Namespace) -> tuple[Path, Path | None]:
    """The table, and the figure if one is asked for.

    Raises:
      UserError: the suffix is of neither, or there is nothing to draw.
    """
    output = options.output
    if output.suffix not in (TABLE, *FIGURES):
        raise UserError(f"--output={output} must be named *{TABLE}, *{', *'.join(FIGURES)}.")
    if output.suffix == TABLE:
        return output, None
    if not options.scan:
        raise UserError(f"--output={output} is a heat map, which needs --scan; name it *{TABLE}.")
    return output.with_suffix(TABLE), output


def chosen_source(options: argparse.Namespace, folder: Path) -> Source | RecordSource:
    """The proteins; what can be read only once is copied into the folder.

    Raises:
      UserError: the format is unknown, or does not go with another option.
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
