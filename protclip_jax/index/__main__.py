"""`python -m protclip_jax.index`: makes a folder that `search` and `serve` search, or adds proteins
to one.

Proteins are embedded as `python -m protclip_jax.embed` does it, in parts that a run leaves behind
when it is stopped and the same command goes on with. Then the index is written, and its recall
is measured where search in it is approximate.
"""

import argparse
import dataclasses
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax
import numpy as np

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import tell
from data_pipelines.common.warned import warnings_as_sentences
from data_pipelines.inputs.input_formats import INPUT_FORMATS, Fasta, Tsv
from data_pipelines.inputs.input_formats import SUFFIXES as INPUT_SUFFIXES
from data_pipelines.inputs.labels import LabelSource
from data_pipelines.inputs.model_input import Source, check_content
from data_pipelines.inputs.record_source import RecordSource
from data_pipelines.inputs.source_options import (
    is_piped,
    refuse_columns_without_table,
    refuse_unread,
    spool,
)
from data_pipelines.inputs.survey import take_survey
from data_pipelines.readers import SUFFIXES as SOURCE_SUFFIXES
from data_pipelines.readers.table import open_table
from data_pipelines.readers.uniprot.uniprot_tsv import UniprotTsv
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.embed.__main__ import (
    MIN_CHUNK_BATCHES,
    MIN_CHUNK_TOKENS,
    embed_parts,
    publish_rejects,
)
from protclip_jax.embed.embedding_kinds import choose_kinds, protein_embedder, text_embedder
from protclip_jax.embed.resume import (
    PLAN,
    adopt_plan,
    begin_finishing,
    is_finishing,
    partial_folder,
    read_plan,
    refuse_others,
    remove_parts,
)
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.inference.cpu_devices import MAX_CPU_DEVICES, split_cpu
from protclip_jax.inference.prefixes import check_dimensions, tell_untrained
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import DEFAULT_WINDOWS, POLICIES, Windows
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.embedding_input import SUFFIXES as EMBEDDING_SUFFIXES
from protclip_jax.retrieval.embedding_input import EmbeddingInput, open_embeddings
from protclip_jax.retrieval.engine import own_calibration, windows_of
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.index_folder import (
    MANIFEST,
    Fingerprint,
    Index,
    open_index,
    refuse_other_model,
    unnamed_files,
)
from protclip_jax.retrieval.indexing import (
    KINDS,
    Addition,
    Encode,
    add,
    added_hashes,
    cut,
    label_addition,
    protein_addition,
)

EMBEDDING = {
    "long_proteins": DEFAULT_WINDOWS.policy,
    "max_residues": DEFAULT_WINDOWS.max_residues,
    "overlap": DEFAULT_WINDOWS.overlap,
    "dtype": "float32",
    "batch_tokens": None,
}
"""Options that say how proteins are embedded here, and their defaults."""
PROTEIN_FORMATS = tuple(each.name for each in INPUT_FORMATS if each.modalities[0] == "protein")
FORMATS = (*PROTEIN_FORMATS, "entries", "protanno", "embeddings")
PROTEIN_SUFFIXES = {key: name for key, name in INPUT_SUFFIXES.items() if name in PROTEIN_FORMATS}
ENTRY_SUFFIXES = tuple(suffix for suffix in SOURCE_SUFFIXES if suffix not in PROTEIN_SUFFIXES)
Input = Source | RecordSource | LabelSource


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.index",
        epilog="Example: python -m protclip_jax.index --checkpoint runs/demo --input "
        "proteins.fasta "
        "--output proteins.index",
        description="Makes a folder of proteins, or of labels, that `search` and `serve` search; "
        "or adds "
        "proteins to one.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        metavar="DIR",
        help="a workdir or converted checkpoint, also gs://; embedding files need none",
    )
    add("--step", help="a step's number, best or latest (default: best if recorded, else latest)")
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
        help="a new folder; with --append an index that is there",
    )
    add("--append", action="store_true", help="add the input to the index --output")
    add("--format", choices=FORMATS, help="of --input (default: by its name)")
    add(
        "--column",
        help="of a table of proteins, with the sequences (default: sequence, Sequence or seq)",
    )
    add(
        "--id_column",
        help="of a table, with the ids (default: id, Entry or accession, else the row's number)",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="index a file whose sequences look like nucleotides all the same",
    )
    add("--splits", nargs="+", help="of a ProtAnno folder (default: all)")
    add(
        "--columns",
        nargs="+",
        help="of a table of labels, with the texts for each; the first is its name",
    )
    add(
        "--templates",
        nargs="+",
        help="prompts for a label, {} standing for its text, as 'FUNCTION: {}'; all are averaged",
    )
    add(
        "--kind",
        choices=KINDS,
        default="auto",
        help="exact compares a query with everything; approximate (IVF-PQ, candidates re-ranked "
        "exactly) with a part; auto "
        "takes exact up to 200,000 items (default %(default)s)",
    )
    add(
        "--dimensions",
        type=int,
        help="keep the first so many dimensions of the embeddings, scaled to norm 1; for a "
        "checkpoint trained with "
        "loss.matryoshka (default: all)",
    )
    add(
        "--recall",
        type=float,
        default=0.95,
        help="recall@10 that an approximate index is tuned to (default %(default)s)",
    )
    add("--long_proteins", choices=POLICIES, help="as for embed (default %(default)s)")
    add("--max_residues", type=int, help="as for embed (default %(default)s)")
    add("--overlap", type=int, help="as for embed (default %(default)s)")
    add("--dtype", choices=("float32", "bfloat16"), help="of the computation (default %(default)s)")
    add("--batch_tokens", type=int, help="tokens of one call of the model, as for embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual devices of a CPU (default: its cores, at most {MAX_CPU_DEVICES})",
    )
    parser.set_defaults(**EMBEDDING)
    return parser.parse_args(arguments)


def choose_input(options: argparse.Namespace) -> Input | EmbeddingInput:
    """The input as its name and the options describe it.

    Raises:
      UserError: the format is unknown, or does not go with another option.
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
            f"--splits belongs to a ProtAnno folder, but the format is {chosen}; leave it out."
        )
    if options.column or options.id_column:
        refuse_columns_without_table(chosen)
    if chosen == "embeddings":
        if given := [
            f"--{name}" for name, default in EMBEDDING.items() if getattr(options, name) != default
        ]:
            raise UserError(
                f"{path} holds embeddings already, which {' and '.join(given)} cannot "
                "change; leave that out."
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
    """Whether a TSV is UniProt's export, whose rows are whole entries."""
    with open_table(path, Tsv.name) as table:
        return set(UniprotTsv.required) <= {name.strip().lower() for name in table.header}


def format_of(path: Path) -> str:
    """The format that a name tells; raises UserError where it tells none."""
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
    raise UserError(f"{path} is of no known format; say --format {'|'.join(FORMATS)}.")


def open_previous(options: argparse.Namespace, folder: Path) -> Index | None:
    """The index to add to; None for a new one.

    Raises:
      UserError: there is none, or one of labels, or one where a new one is to be made.
    """
    if options.append:
        if options.labels:
            raise UserError("labels cannot be appended; make an index of all of them.")
        previous = open_index(options.output)
        if previous.manifest["modality"] != "protein":
            raise UserError(
                f"{options.output} is an index of {previous.manifest['modality']}s, and "
                "proteins are added only to one of "
                "proteins; leave --append out and name another --output."
            )
        return previous
    if options.output.exists():
        if not options.output.is_dir():
            raise UserError(f"--output={options.output} is a file; name a new folder.")
        there = set(options.output.iterdir())
        if is_finishing(folder):
            # The run that was stopped has left them.
            there -= {options.output / MANIFEST, *unnamed_files(options.output, ())}
        if there:
            raise UserError(
                f"{options.output} exists; add to it with --append, remove it, or name "
                "another --output."
            )
    return None


def refuse_known_ids(previous: Index, hashes: np.ndarray, output: Path) -> None:
    """Raises UserError where items, given by the hashes of their ids, are in the index already."""
    known = np.fromiter(item_table.id_hashes(previous.items), np.uint64, len(previous))
    if there := int(np.isin(hashes, known).sum()):
        raise UserError(
            f"{there:,} of the {len(hashes):,} ids are in {output} already; leave these "
            "proteins out, or make the index anew."
        )


def generation_of(previous: Index | None) -> int:
    """The generation of the index that an addition to `previous` makes."""
    return previous.manifest["generation"] + 1 if previous else 0


def rejects_path(output: Path, generation: int) -> Path:
    """Where the rejected of one input are listed: every addition has a list of its own, beside
    that of the first input."""
    return output.with_name(
        f"{output.name}.{generation}.rejects.tsv" if generation else f"{output.name}.rejects.tsv"
    )


def is_published(folder: Path, previous: Index) -> bool:
    """Whether the run that the folder is of made the index what it is, and was stopped before it
    removed the folder."""
    return read_plan(folder).get("generation") == previous.manifest["generation"]


def were_added_last(previous: Index, hashes: np.ndarray) -> bool:
    """Whether the last part of the index is of just these items, given by the hashes of their
    ids."""
    last = previous.items.slice(len(previous) - len(previous.vectors.parts[-1]))
    return list(item_table.id_hashes(last)) == hashes.tolist()


def was_added(previous: Index, hashes: np.ndarray, output: Path, *, folder: Path) -> bool:
    """Whether a run that was stopped while it was finishing has added just these items; then its
    folder is done with.

    Raises:
      UserError: some of them are in the index from before.
    """
    published = is_published(folder, previous)
    if published and were_added_last(previous, hashes):
        tell(
            f"{output} holds all of them already, from a run that was stopped while it was "
            "finishing."
        )
        remove_parts(folder)
        return True
    refuse_known_ids(previous, hashes, output)
    if published:
        # The parts are of other items, which the index holds: this run has a plan of its own.
        (folder / PLAN).unlink()
    return False


def refuse_other_encoding(previous: Index, encoding: Mapping, output: Path) -> None:
    """Raises UserError where the index was made by reading proteins otherwise."""
    if previous.manifest["encoding"] != dict(encoding):
        stored = previous.manifest["encoding"]
        message = ", ".join(
            f"--{name} {stored.get(name)}"
            for name in stored
            if stored.get(name) != encoding.get(name)
        )
        raise UserError(
            f"{output} was made otherwise; give {message or 'the options it was made with'}."
        )


def encoding_of(options: argparse.Namespace, computation: Mapping) -> dict:
    """How the vectors came about, for the manifest: how they were computed, and what was kept of
    them."""
    return dict(computation) | ({"dimensions": options.dimensions} if options.dimensions else {})


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Makes an index as the command line says."""
    make(parse_arguments(arguments))


def make(options: argparse.Namespace) -> None:
    """Surveys and embeds the input, then writes the index.

    Raises:
      UserError: an option, the input or the checkpoint cannot be used.
      RunError: the disk does not take what is written.
    """
    windows = Windows(options.long_proteins, options.max_residues, options.overlap)
    if not 0 < options.recall <= 1:
        raise UserError(f"--recall={options.recall} must be above 0 and at most 1.")
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    load_faiss()
    split_cpu(options.cpu_devices)
    source = choose_input(options)
    if options.checkpoint is not None:
        options.checkpoint = open_checkpoint(options.checkpoint, options.step)
    with partial_folder(options.output) as folder, warnings_as_sentences():
        previous = open_previous(options, folder)
        if isinstance(source, EmbeddingInput):
            index_embeddings(options, source, previous, folder)
        else:
            embed_and_index(options, source, previous, windows=windows, folder=folder)


def index_embeddings(
    options: argparse.Namespace, source: EmbeddingInput, previous: Index | None, folder: Path
) -> None:
    """An index of an embedding file."""
    if options.dimensions is not None:
        check_dimensions(options.dimensions, source.width)
    fingerprint = source.facts["checkpoint"]
    model = ProtCLIP.load(options.checkpoint, step=options.step) if options.checkpoint else None
    if model is not None and not model.is_named_by(fingerprint):
        raise UserError(
            f"{source.path} was made with another checkpoint than {options.checkpoint}; give "
            "that one, or none."
        )
    if model is not None and options.dimensions is not None:
        tell_untrained(model.config)
    kept, encoding = options.dimensions or source.width, encoding_of(options, source.encoding)
    if previous is not None:
        refuse_other_model(
            previous.manifest, model or Fingerprint(fingerprint), folder=options.output
        )
        if kept != (width := previous.manifest["dimension"]):
            raise UserError(
                f"{source.path} holds embeddings of width {kept}, but those of "
                f"{options.output} have {width}; make it "
                "anew with the checkpoint of the index."
            )
        refuse_other_encoding(previous, encoding, options.output)
        if was_added(
            previous,
            np.array([hash64(id) for id in source.ids], np.uint64),
            options.output,
            folder=folder,
        ):
            return
    # A file of an older version names its checkpoint by the parameters alone.
    named = model.fingerprint if model else fingerprint
    facts = {"modality": "protein", "checkpoint": named, "step": None, "encoding": encoding}
    with report_disk_errors(folder):
        # No parts to keep, but what is written from here on is this run's.
        adopt_plan(folder, {"generation": generation_of(previous)})
    addition = Addition(len(source.ids), source.width, source.blocks())
    write(options, addition, previous, facts=facts, model=model, folder=folder)
    remove_parts(folder)


def embed_and_index(
    options: argparse.Namespace,
    source: Input,
    previous: Index | None,
    *,
    windows: Windows,
    folder: Path,
) -> None:
    """An index of proteins or labels that are embedded first."""
    if options.checkpoint is None:
        raise UserError("--checkpoint is missing: the input has to be embedded.")
    batch_tokens = options.batch_tokens or default_batch_tokens()
    step = best.resolve_step(options.checkpoint, options.step)
    groups = stored_groups(options.checkpoint, step)
    choose_kinds(["projected"], modality=source.modality, groups=groups)
    is_protein = source.modality == "protein"
    reading = (
        protein_embedder(["projected"], windows, batch_tokens)
        if is_protein
        else text_embedder(options.checkpoint, batch_tokens)
    )
    if options.dimensions is not None:
        config = metadata.read_model_config(options.checkpoint)
        check_dimensions(options.dimensions, config["model"]["projection_dim"])
        tell_untrained(config)
    if isinstance(source, Source) and is_piped(source.path):
        source = dataclasses.replace(source, path=spool(source.path, folder / "stdin"))
    with report_disk_errors(folder):
        survey = take_survey(
            source,
            measure=reading.measure,
            rejects=folder / "rejects.tsv",
            accept_doubtful=options.accept_doubtful,
        )
    rejects = rejects_path(options.output, generation_of(previous))
    refuse_others(folder, (), [rejects])
    noun = "protein" if is_protein else "prompt"
    tell(*survey.describe(noun, long_items=reading.long_items, rejects=rejects))
    if previous is not None and was_added(
        previous, added_hashes(source, survey), options.output, folder=folder
    ):
        return
    model = ProtCLIP.load(options.checkpoint, step=step, dtype=options.dtype)
    computation = {"dtype": options.dtype, **reading.facts}
    encoding = encoding_of(options, computation)
    if previous is not None:
        refuse_other_model(previous.manifest, model, folder=options.output, step=step)
        refuse_other_encoding(previous, encoding, options.output)
    with report_disk_errors(folder):
        # What is embedded is cut only when it is written.
        plan = {
            "checkpoint": model.fingerprint,
            "batch_tokens": batch_tokens,
            "backend": jax.default_backend(),
            **computation,
        }
        adopt_plan(folder, plan | {"generation": generation_of(previous)})
        publish_rejects(folder / "rejects.tsv", rejected=survey.rejected, published=rejects)
    parts = embed_parts(
        model,
        source,
        survey=survey,
        reading=reading,
        folder=folder,
        precision="float32",
        min_tokens=max(MIN_CHUNK_TOKENS, MIN_CHUNK_BATCHES * batch_tokens),
    )
    width = model.config["model"]["projection_dim"]
    addition = (
        protein_addition(source, survey, parts, width=width)
        if is_protein
        else label_addition(source, parts, width=width)
    )
    facts = {
        "modality": "protein" if is_protein else "label",
        "checkpoint": model.fingerprint,
        "step": step,
        "encoding": encoding,
    }
    write(options, addition, previous, facts=facts, model=model, folder=folder)
    remove_parts(folder)


def write(
    options: argparse.Namespace,
    addition: Addition,
    previous: Index | None,
    *,
    facts: Mapping,
    model: ProtCLIP | None,
    folder: Path,
) -> None:
    """Writes the index, of the dimensions that are asked for, and says what it is."""
    if options.dimensions is not None:
        addition = cut(addition, options.dimensions)
    can_read = model is not None and {"text", "text_projection"} <= model.groups
    calibration = (
        own_calibration(Path(options.checkpoint), model)
        if model and options.dimensions is None
        else None
    )
    encode_decoys = None
    if facts["modality"] == "protein" and model is not None and calibration is None:
        encode_decoys = protein_encoder(
            model, facts["encoding"], batch_tokens=options.batch_tokens, width=addition.width
        )
    with report_disk_errors(options.output):
        begin_finishing(folder, ())
        options.output.mkdir(parents=True, exist_ok=True)
        manifest = add(
            options.output,
            addition,
            previous=previous,
            facts=facts,
            kind=options.kind,
            target=options.recall,
            encode_decoys=encode_decoys,
            calibration=calibration,
            encode_texts=functools.partial(model.encode_texts, dimensions=addition.width)
            if can_read
            else None,
            tell=tell,
        )
    approximate = manifest["approximate"]
    found = (
        "search is exact"
        if approximate is None
        else f"search reads {approximate['probes']} of {approximate['lists']} lists"
    )
    tell(describe_sureness(manifest))
    tell(
        f"{options.output}: {manifest['count']:,} {facts['modality']}s of width "
        f"{manifest['dimension']}; {found}."
    )


def protein_encoder(
    model: ProtCLIP, encoding: Mapping, *, batch_tokens: int | None, width: int
) -> Encode:
    """What embeds shuffled proteins as those of the index were, by the `encoding` of its
    manifest."""
    windows = windows_of(encoding)
    return functools.partial(
        model.encode_proteins, windows=windows, batch_tokens=batch_tokens, dimensions=width
    )


def describe_sureness(manifest: Mapping) -> str:
    """What the hits of an index will tell of how sure they are."""
    if manifest["calibration"]:
        return "confidence: from the checkpoint's calibration, of which the index keeps a copy."
    how = "as q-values, by shuffled proteins" if manifest["decoys"] else "not told"
    return f"confidence: {how}; `python -m eval --calibrate` measures it for a checkpoint."


if __name__ == "__main__":
    sys.exit(main())
