"""The options of the index command and the choice of its input."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import INPUT_FORMATS, Fasta, Tsv
from data_pipelines.inputs.input_formats import SUFFIXES as INPUT_SUFFIXES
from data_pipelines.inputs.labels import LabelSource
from data_pipelines.inputs.model_input import Source, check_content
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.source_options import (
    is_piped,
    refuse_columns_without_table,
    refuse_unread,
)
from data_pipelines.readers import SUFFIXES as SOURCE_SUFFIXES
from data_pipelines.readers.table import open_table
from data_pipelines.readers.uniprot.uniprot_tsv import UniprotTsv
from protclip_jax.distributed.cpu_devices import MAX_CPU_DEVICES
from protclip_jax.inference.windows import DEFAULT_WINDOWS, POLICIES
from protclip_jax.retrieval.embedding_input import SUFFIXES as EMBEDDING_SUFFIXES
from protclip_jax.retrieval.embedding_input import EmbeddingInput, open_embeddings
from protclip_jax.retrieval.indexing import (
    KINDS,
)

EMBEDDING = {
    "long_proteins": DEFAULT_WINDOWS.policy,
    "max_residues": DEFAULT_WINDOWS.max_residues,
    "overlap": DEFAULT_WINDOWS.overlap,
    "dtype": "float32",
    "batch_tokens": None,
}
"""Options for embedding proteins, with their defaults."""
PROTEIN_FORMATS = tuple(each.name for each in INPUT_FORMATS if each.modalities[0] == "protein")
FORMATS = (*PROTEIN_FORMATS, "entries", "protanno", "embeddings")
PROTEIN_SUFFIXES = {key: name for key, name in INPUT_SUFFIXES.items() if name in PROTEIN_FORMATS}
ENTRY_SUFFIXES = tuple(suffix for suffix in SOURCE_SUFFIXES if suffix not in PROTEIN_SUFFIXES)
Input = Source | RecordSource | LabelSource


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 on invalid arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.index",
        epilog="Example: python -m protclip_jax.index --checkpoint runs/demo --input "
        "proteins.fasta --output proteins.index",
        description="Makes an index of proteins or labels for `search` and `serve`, or adds "
        "proteins to an existing index.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        metavar="DIR",
        help="workdir or converted checkpoint, also gs://; not needed for embedding files",
    )
    add(
        "--step",
        help="step to load: a number, best or latest (default: best if recorded, else latest)",
    )
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument(
        "--input",
        metavar="FILE",
        help="proteins: FASTA, a table with a column of sequences, UniProt entries "
        f"({', '.join(ENTRY_SUFFIXES)}), a built ProtAnno folder, or an embedding file of "
        "`python -m protclip_jax.embed`; plain or gzip; - reads FASTA from stdin",
    )
    given.add_argument(
        "--labels",
        metavar="FILE",
        help="labels that describe proteins: an ontology (.obo), ExPASy's enzyme.dat, or a table "
        "(.tsv, .csv)",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="new folder, or with --append an existing index",
    )
    add("--append", action="store_true", help="add the input to the existing index")
    add("--format", choices=FORMATS, help="format of --input (default: inferred from its name)")
    add(
        "--column",
        help="column of the sequences in a protein table (default: sequence, Sequence or seq)",
    )
    add(
        "--id_column",
        help="table column of the ids (default: id, Entry or accession, else the row number)",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="index the file even if its sequences look like nucleotides",
    )
    add("--splits", nargs="+", help="splits of a ProtAnno folder (default: all)")
    add(
        "--columns",
        nargs="+",
        help="columns of a label table with the texts of each label; the first is its name",
    )
    add(
        "--templates",
        nargs="+",
        help="prompts for each label, with {} for its text, such as 'FUNCTION: {}'; they are "
        "averaged",
    )
    add(
        "--kind",
        choices=KINDS,
        default="auto",
        help="exact compares a query with all items; approximate (IVF-PQ, candidates re-ranked "
        "exactly) with some of them; auto is exact up to 200,000 items (default %(default)s)",
    )
    add(
        "--dimensions",
        type=int,
        help="number of leading dimensions of the embeddings to keep, rescaled to norm 1; for a "
        "checkpoint trained with loss.matryoshka (default: all)",
    )
    add(
        "--recall",
        type=float,
        default=0.95,
        help="target recall@10 of an approximate index (default %(default)s)",
    )
    add(
        "--decoys",
        type=Path,
        metavar="FASTA",
        help="decoys: proteins unrelated to those of the index, which no query should find; a hit "
        "without a measured confidence gets the larger of its q-values by these and by shuffled "
        "proteins",
    )
    add("--long_proteins", choices=POLICIES, help="as for embed (default %(default)s)")
    add("--max_residues", type=int, help="as for embed (default %(default)s)")
    add("--overlap", type=int, help="as for embed (default %(default)s)")
    add(
        "--dtype",
        choices=("float32", "bfloat16"),
        help="dtype of the computation (default %(default)s)",
    )
    add("--batch_tokens", type=int, help="tokens per model call, as for embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual CPU devices (default: one per core, at most {MAX_CPU_DEVICES})",
    )
    parser.set_defaults(**EMBEDDING)
    return parser.parse_args(arguments)


def choose_input(options: argparse.Namespace) -> Input | EmbeddingInput:
    """Chooses the input from its name and the options.

    Raises:
      UserError: the format is unknown or conflicts with another option.
    """
    if options.labels:
        refuse_unread(options, ("format", "column", "splits"), owner="--input")
        texts = {"columns": options.columns, "templates": options.templates}
        given = {name: tuple(value) if value else None for name, value in texts.items()}
        return LabelSource(path=Path(options.labels), id_column=options.id_column, **given)
    refuse_unread(options, ("columns", "templates"), owner="--labels")
    path = Path(options.input)
    chosen = options.format or format_of(path)
    if not options.format and chosen in PROTEIN_FORMATS and not is_piped(path):
        check_content(path, chosen)
        if (
            chosen == Tsv.name
            and not (options.column or options.id_column)
            and is_uniprot_table(path)
        ):
            chosen = "entries"
    if options.splits and chosen != "protanno":
        raise UserError(
            f"--splits applies only to a ProtAnno folder, but the format is {chosen}; omit it."
        )
    if options.column or options.id_column:
        refuse_columns_without_table(chosen)
    if chosen == "embeddings":
        if given := [
            f"--{name}" for name, default in EMBEDDING.items() if getattr(options, name) != default
        ]:
            raise UserError(
                f"{path} already contains embeddings, which {' and '.join(given)} cannot "
                "change; omit this."
            )
        return open_embeddings(path)
    if chosen in ("entries", "protanno"):
        return RecordSource(path=path, splits=tuple(options.splits) if options.splits else None)
    return Source(
        path=path,
        format=chosen,
        modality="protein",
        column=options.column,
        id_column=options.id_column,
    )


def is_uniprot_table(path: Path) -> bool:
    """Whether a TSV is a UniProt export, whose rows are entries."""
    with open_table(path, Tsv.name) as table:
        return set(UniprotTsv.required) <= {name.strip().lower() for name in table.header}


def format_of(path: Path) -> str:
    """Infers the format from a file name; raises UserError if it is unknown."""
    name = path.name.lower().removesuffix(".gz")
    if path.is_dir():
        return "protanno"
    if is_piped(path):
        return Fasta.name
    if path.name.lower().endswith(EMBEDDING_SUFFIXES):
        return "embeddings"
    if (suffix := Path(name).suffix) in PROTEIN_SUFFIXES:
        return PROTEIN_SUFFIXES[suffix]
    if name.endswith(ENTRY_SUFFIXES):
        return "entries"
    raise UserError(
        f"the format of {path} is not clear from its name; pass --format {'|'.join(FORMATS)}."
    )
