"""`python -m protclip_jax.embed`: embeds a file of proteins or texts.

The input is read twice: the first pass checks it and reports everything unusual, the second embeds
it in chunks of consecutive items. Each chunk's embeddings are stored as a part file in
OUTPUT.partial, named after the chunk's content, so that rerunning the same command resumes a
stopped run. At the end the parts are joined into OUTPUT.
"""

import argparse
import functools
import importlib.metadata
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.progress import print_status, progress
from data_pipelines.inputs.input_formats import BY_NAME, DESCRIPTION, TEXT_FORMATS, listed
from data_pipelines.inputs.source_options import choose_source
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.distributed.cpu_devices import MAX_CPU_DEVICES, split_cpu
from protclip_jax.embed.embedding_files import H5_SUFFIXES, WRITERS, load_part
from protclip_jax.embed.embedding_kinds import (
    choose_kinds,
    prefix_embedder,
    protein_embedder,
    text_embedder,
)
from protclip_jax.embed.h5_keys import H5_KEYS
from protclip_jax.embed.parts import begin, embed_parts, survey_input, writing
from protclip_jax.embed.resume import (
    begin_finishing,
    partial_folder,
    refuse_others,
    remove_parts,
)
from protclip_jax.inference.batched_calls import (
    ACCELERATOR_BATCH_TOKENS,
    CPU_BATCH_TOKENS,
    default_batch_tokens,
)
from protclip_jax.inference.prefixes import warn_untrained
from protclip_jax.inference.protclip import EMBEDDING_KINDS, ProtCLIP
from protclip_jax.inference.windows import DEFAULT_WINDOWS, POLICIES, Windows

DEFAULT_H5_KEYS = next(iter(H5_KEYS))

LIBRARIES = ("jax", "jaxlib", "numpy")
"""Other versions of these may change the last digits."""


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 if it is invalid."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.embed",
        epilog="Example: python -m protclip_jax.embed --checkpoint runs/demo --input "
        "proteins.fasta --output proteins.h5",
        description="Embeds a file of proteins or texts.",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="workdir or converted checkpoint, also gs://",
    )
    add(
        "--step",
        help="step to load: a number, best or latest (default: best if recorded, else latest)",
    )
    add(
        "--input",
        required=True,
        metavar="FILE",
        help=f"{DESCRIPTION}, plain or gzip; - reads stdin",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help=f"new file named *{', *'.join(WRITERS)}",
    )
    add(
        "--h5_keys",
        choices=H5_KEYS,
        help="names of the datasets in an HDF5 file: the position in the input, the id, the "
        "UniProt accession if the id contains one, or the SHA-256 of SEQUENCE_LENGTH, by which "
        "biotrainer looks them up; the attribute original_id always has the id (default "
        f"{DEFAULT_H5_KEYS})",
    )
    add(
        "--format",
        choices=BY_NAME,
        help="format of --input (default: inferred from its name; fasta for stdin)",
    )
    add(
        "--column",
        help="table column of the sequences (default: sequence, Sequence or seq) or texts "
        "(default: text)",
    )
    add(
        "--id_column",
        help="table column of the ids (default: id, Entry or accession, else the row number)",
    )
    add(
        "--modality",
        choices=("protein", "text"),
        help=f"what the input contains (default: protein; text for {listed(TEXT_FORMATS)})",
    )
    add(
        "--include",
        nargs="+",
        choices=EMBEDDING_KINDS,
        help="projected: unit-norm vectors in the space shared by proteins and texts; mean: mean "
        "of the tower's vectors over the residues of a protein or the tokens of a text; residues: "
        "the tower's vector of each residue (default: projected if the checkpoint supports it, "
        "else mean). Several kinds are written to one file each: x.h5 becomes x.KIND.h5",
    )
    add(
        "--dimensions",
        type=int,
        help="number of leading dimensions of projected embeddings to keep, rescaled to norm 1; "
        "for a checkpoint trained with loss.matryoshka (default: all)",
    )
    add(
        "--long_proteins",
        choices=POLICIES,
        default=DEFAULT_WINDOWS.policy,
        help="how proteins of more than --max_residues are read: in overlapping windows that are "
        "averaged residue by residue, truncated, or whole (default %(default)s)",
    )
    add(
        "--max_residues",
        type=int,
        default=DEFAULT_WINDOWS.max_residues,
        help="residues of a window (default %(default)s, ESM-2's training length)",
    )
    add(
        "--overlap",
        type=int,
        default=DEFAULT_WINDOWS.overlap,
        help="minimum residues shared by neighbouring windows (default %(default)s)",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="embed the file even if its sequences look like nucleotides",
    )
    add(
        "--precision",
        choices=("float32", "float16"),
        default="float32",
        help="dtype of the stored embeddings (default %(default)s)",
    )
    add(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="dtype of the computation (default %(default)s)",
    )
    add(
        "--batch_tokens",
        type=int,
        help=f"tokens per model call (default {CPU_BATCH_TOKENS} on CPU, else "
        f"{ACCELERATOR_BATCH_TOKENS})",
    )
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual CPU devices (default: one per core, at most {MAX_CPU_DEVICES})",
    )
    return parser.parse_args(arguments)


def output_paths(output: Path, kinds: Sequence[str]) -> dict[str, Path]:
    """Maps each kind to its file: `output` if there is one kind, else with the kind in its name.

    Raises:
      UserError: the suffix is not a known format.
    """
    if output.suffix not in WRITERS:
        raise UserError(f"--output={output} must be named *{', *'.join(WRITERS)}.")
    if len(kinds) == 1:
        return {kinds[0]: output}
    return {kind: output.with_suffix(f".{kind}{output.suffix}") for kind in kinds}


def writer_of(output: Path, h5_keys: str | None) -> Callable:
    """Returns the writer for an output: one of `WRITERS`, with the requested names in HDF5.

    Raises:
      UserError: names of datasets are given, but the format has no datasets.
    """
    if output.suffix in H5_SUFFIXES:
        return functools.partial(WRITERS[output.suffix], keys=h5_keys or DEFAULT_H5_KEYS)
    if h5_keys:
        raise UserError(
            f"--h5_keys applies only to HDF5 files, but --output is {output}; omit it, or name "
            "--output *.h5."
        )
    return WRITERS[output.suffix]


def join_parts(
    parts: Sequence[Path],
    outputs: Mapping[str, Path],
    *,
    write: Callable,
    facts: Mapping[str, str | int],
    folder: Path,
) -> None:
    """Writes the output of each kind atomically."""
    begin_finishing(folder, list(outputs.values()))
    for kind, output in outputs.items():
        loaded = (
            load_part(part, kind)
            for part in progress(parts, description=f"write {kind}", unit="parts")
        )
        with (
            writing(output),
            atomic_path(output, partial=folder / f"{output.name}.writing") as partial,
        ):
            write(partial, loaded, facts={**facts, "kind": kind})


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Surveys the input, embeds it part by part, and joins the parts."""
    options = parse_arguments(arguments)
    windows = Windows(options.long_proteins, options.max_residues, options.overlap)
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    split_cpu(options.cpu_devices)
    batch_tokens = options.batch_tokens or default_batch_tokens()
    source = choose_source(options)
    options.checkpoint = open_checkpoint(options.checkpoint, options.step)
    step = best.resolve_step(options.checkpoint, options.step)
    groups = stored_groups(options.checkpoint, step)
    kinds = choose_kinds(options.include, modality=source.modality, groups=groups)
    outputs = output_paths(options.output, kinds)
    write = writer_of(options.output, options.h5_keys)
    reading = (
        protein_embedder(kinds, windows, batch_tokens)
        if source.modality == "protein"
        else text_embedder(options.checkpoint, batch_tokens, kinds=kinds)
    )
    if options.dimensions is not None:
        config = metadata.read_model_config(options.checkpoint)
        reading = prefix_embedder(reading, options.dimensions, kinds=kinds, config=config)
        warn_untrained(config)
    rejects = options.output.with_name(f"{options.output.name}.rejects.tsv")
    with partial_folder(options.output) as folder:
        refuse_others(folder, list(outputs.values()), [rejects])
        source, survey = survey_input(
            source,
            reading=reading,
            folder=folder,
            rejects=rejects,
            accept_doubtful=options.accept_doubtful,
        )
        names = zip(kinds, outputs.values(), strict=True)
        print_status(*(f"writing {kind} embeddings to {path}." for kind, path in names))

        model = ProtCLIP.load(options.checkpoint, step=step, dtype=options.dtype)
        computation = {
            "checkpoint": model.fingerprint,
            "modality": source.modality,
            "dtype": options.dtype,
            **reading.facts,
        }
        plan = {
            "kinds": sorted(kinds),
            "precision": options.precision,
            "batch_tokens": batch_tokens,
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
        }
        begin(folder, computation | plan, rejected=survey.rejected, rejects=rejects)
        parts = embed_parts(
            model,
            source,
            survey=survey,
            reading=reading,
            folder=folder,
            batch_tokens=batch_tokens,
            precision=options.precision,
        )
        facts = computation | {"source": Path(options.input).name}
        join_parts(parts, outputs, write=write, facts=facts, folder=folder)
        remove_parts(folder)
    print_status(f"wrote {', '.join(map(str, outputs.values()))}")


if __name__ == "__main__":
    sys.exit(main())
