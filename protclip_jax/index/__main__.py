"""`python -m protclip_jax.index`: makes an index for `search` and `serve`, or adds proteins to it.

Proteins are embedded in parts, as by `python -m protclip_jax.embed`. If a run is interrupted, the
same command resumes with the parts that are done. Then the index is written; the recall of an
approximate index is measured.
"""

import argparse
import functools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import print_status
from data_pipelines.common.warned import warnings_as_sentences
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.embed.embedding_kinds import choose_kinds, protein_embedder, text_embedder
from protclip_jax.embed.parts import begin, embed_parts, survey_input
from protclip_jax.embed.resume import (
    adopt_plan,
    begin_finishing,
    partial_folder,
    refuse_others,
    remove_parts,
)
from protclip_jax.index.command_line import Input, choose_input, parse_arguments
from protclip_jax.index.decoy_file import check_decoys, read_decoys
from protclip_jax.index.previous import (
    generation_of,
    open_previous,
    refuse_other_encoding,
    rejects_path,
    was_added,
)
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.inference.prefixes import check_dimensions, warn_untrained
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import Windows
from protclip_jax.retrieval.embedding_input import EmbeddingInput
from protclip_jax.retrieval.engine import own_calibration, windows_of
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.index_folder import (
    Fingerprint,
    Index,
    refuse_other_model,
)
from protclip_jax.retrieval.indexing import (
    Addition,
    Encode,
    add,
    added_hashes,
    cut,
    label_addition,
    protein_addition,
)


def encoding_of(options: argparse.Namespace, computation: Mapping) -> dict:
    """How the vectors were computed and truncated, for the manifest."""
    return dict(computation) | ({"dimensions": options.dimensions} if options.dimensions else {})


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Makes an index or adds to it, from the command line."""
    make(parse_arguments(arguments))


def make(options: argparse.Namespace) -> None:
    """Surveys and embeds the input, then writes the index.

    Raises:
      UserError: an option, the input or the checkpoint is unusable.
      RunError: writing to disk fails.
    """
    windows = Windows(options.long_proteins, options.max_residues, options.overlap)
    if not 0 < options.recall <= 1:
        raise UserError(f"--recall={options.recall} must be above 0 and at most 1.")
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    load_faiss()
    split_cpu(options.cpu_devices)
    source = choose_input(options)
    check_decoys(options)
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
    """Makes an index from an embedding file, or adds the file to `previous`."""
    if options.dimensions is not None:
        check_dimensions(options.dimensions, source.width)
    fingerprint = source.facts["checkpoint"]
    model = ProtCLIP.load(options.checkpoint, step=options.step) if options.checkpoint else None
    if model is not None and not model.is_named_by(fingerprint):
        raise UserError(
            f"{source.path} was made with a different checkpoint than {options.checkpoint}; pass "
            "that checkpoint, or omit --checkpoint."
        )
    if model is not None and options.dimensions is not None:
        warn_untrained(model.config)
    kept, encoding = options.dimensions or source.width, encoding_of(options, source.encoding)
    if previous is not None:
        refuse_other_model(
            previous.manifest, model or Fingerprint(fingerprint), folder=options.output
        )
        if kept != (width := previous.manifest["dimension"]):
            raise UserError(
                f"{source.path} has embeddings of width {kept}, but those of {options.output} "
                f"have width {width}; embed the proteins again with the checkpoint of the index."
            )
        refuse_other_encoding(previous, encoding, options.output)
        if was_added(
            previous,
            np.array([hash64(id) for id in source.ids], np.uint64),
            options.output,
            folder=folder,
        ):
            return
    # A file of an older version identifies its checkpoint by the parameters alone.
    named = model.fingerprint if model else fingerprint
    facts = {"modality": "protein", "checkpoint": named, "step": None, "encoding": encoding}
    with report_disk_errors(folder):
        # There are no parts to keep, but files written from here on belong to this run.
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
    """Embeds proteins or labels, then makes an index of them or adds them to `previous`."""
    if options.checkpoint is None:
        raise UserError("--checkpoint is required, because the input must be embedded.")
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
        warn_untrained(config)
    rejects = rejects_path(options.output, generation_of(previous))
    refuse_others(folder, (), [rejects])
    source, survey = survey_input(
        source,
        reading=reading,
        folder=folder,
        rejects=rejects,
        accept_doubtful=options.accept_doubtful,
        noun="protein" if is_protein else "prompt",
    )
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
    # The plan omits --dimensions, because parts have full width; `write` truncates them.
    plan = {"checkpoint": model.fingerprint, "batch_tokens": batch_tokens, **computation}
    plan["generation"] = generation_of(previous)
    begin(folder, plan, rejected=survey.rejected, rejects=rejects)
    parts = embed_parts(
        model, source, survey=survey, reading=reading, folder=folder, batch_tokens=batch_tokens
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
    """Writes the index with the requested dimensions and prints a summary."""
    if options.dimensions is not None:
        addition = cut(addition, options.dimensions)
    can_read = model is not None and {"text", "text_projection"} <= model.groups
    calibration = (
        own_calibration(Path(options.checkpoint), model)
        if model and options.dimensions is None
        else None
    )
    unrelated = read_decoys(options.decoys) if options.decoys else []
    encode_decoys = None
    is_judged = calibration is None or bool(unrelated)
    if facts["modality"] == "protein" and model is not None and is_judged:
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
            unrelated=unrelated,
            calibration=calibration,
            encode_texts=functools.partial(model.encode_texts, dimensions=addition.width)
            if can_read
            else None,
            log=print_status,
        )
    approximate = manifest["approximate"]
    found = (
        "search is exact"
        if approximate is None
        else f"search reads {approximate['probes']} of {approximate['lists']} lists"
    )
    print_status(describe_confidence(manifest))
    print_status(
        f"{options.output}: {manifest['count']:,} {facts['modality']}s of width "
        f"{manifest['dimension']}; {found}."
    )


def protein_encoder(
    model: ProtCLIP, encoding: Mapping, *, batch_tokens: int | None, width: int
) -> Encode:
    """Creates an encoder for decoys that matches the `encoding` in the manifest of the index."""
    windows = windows_of(encoding)
    return functools.partial(
        model.encode_proteins, windows=windows, batch_tokens=batch_tokens, dimensions=width
    )


def describe_confidence(manifest: Mapping) -> str:
    """Describes in one line the confidence that hits of an index will have."""
    if manifest["calibration"]:
        return "confidence: from the checkpoint's calibration, which was copied into the index."
    unrelated = " and unrelated" if manifest["entrapment"] else ""
    how = f"q-values from shuffled{unrelated} proteins" if manifest["decoys"] else "not known"
    return (
        f"confidence: {how}; to measure it, run `python -m eval --checkpoint DIR --calibrate` "
        "before making the index."
    )


if __name__ == "__main__":
    sys.exit(main())
