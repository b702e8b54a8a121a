"""`python -m protclip_jax.annotate`: the nearest described proteins and labels of every protein of
a file, as TSV.

Proteins are embedded as `python -m protclip_jax.embed` does it, in parts that a run leaves behind
when it is stopped and the same command goes on with.
"""

import argparse
import dataclasses
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Int64

from data_pipelines.common import project
from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.plain_text import tsv_cell
from data_pipelines.common.progress import progress, tell
from data_pipelines.common.warned import warnings_as_sentences
from data_pipelines.inputs.input_formats import BY_NAME
from data_pipelines.inputs.source_options import choose_source, is_piped, spool
from data_pipelines.inputs.survey import take_survey
from protclip_jax.annotate.rows import COLUMNS, annotated, described_rows
from protclip_jax.checkpoints import metadata
from protclip_jax.embed.__main__ import (
    MIN_CHUNK_BATCHES,
    MIN_CHUNK_TOKENS,
    embed_parts,
    publish_rejects,
    writing,
)
from protclip_jax.embed.embedding_files import load_part
from protclip_jax.embed.embedding_kinds import protein_embedder
from protclip_jax.embed.resume import (
    adopt_plan,
    begin_finishing,
    partial_folder,
    refuse_others,
    remove_parts,
)
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.inference.cpu_devices import MAX_CPU_DEVICES, split_cpu
from protclip_jax.retrieval.answer import check_least
from protclip_jax.retrieval.calibration import LEAST, Calibration, to_text
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.index_folder import MANIFEST
from protclip_jax.retrieval.scores import DEFINITION

TOP = 3
Rows = Int64[np.ndarray, " m"] | None


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line; argparse itself ends with code 2 on what it does not understand."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.annotate",
        description="Finds the nearest described proteins, and the labels of each library, for "
        "every "
        "protein of a file. Each "
        "aspect is ranked by itself. Hits that are not sure enough are left out; where the "
        "best is not, one line without a hit "
        "stands for all.",
        epilog=f"{DEFINITION}. Example: python -m protclip_jax.annotate --checkpoint runs/demo "
        "--index proteins.index "
        "--labels places.labels --input proteome.fasta --output proteome.tsv",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="the checkpoint that the indexes were made with",
    )
    add("--step", help="a step's number, best or latest (default: best if recorded, else latest)")
    add(
        "--input",
        required=True,
        metavar="FILE",
        help="proteins: FASTA, or a table with a column of sequences; - reads FASTA",
    )
    add("--format", choices=BY_NAME, help="of --input (default: by its name)")
    add("--column", help="of a table, with the sequences (default: sequence, Sequence or seq)")
    add(
        "--id_column",
        help="of a table, with the ids (default: id, Entry or accession, else the row's number)",
    )
    add(
        "--index",
        type=Path,
        metavar="DIR",
        help="proteins with names or functions, made with `python -m protclip_jax.index`",
    )
    add(
        "--labels",
        nargs="+",
        default=[],
        type=Path,
        metavar="DIR|FILE",
        help="indexes of labels made with `index --labels`, or files of labels; give GO's aspects "
        "as a library each",
    )
    add("--output", type=Path, required=True, metavar="FILE", help="a new file named *.tsv")
    add("--top", type=int, default=TOP, help="hits of each aspect (default %(default)s)")
    add(
        "--min_confidence",
        type=float,
        default=LEAST,
        metavar="SHARE",
        help="of a hit that is written (default %(default)s)",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="annotate what looks like nucleotides all the same",
    )
    add("--batch_tokens", type=int, help="tokens of one call of the model, as for embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual devices of a CPU (default: its cores, at most {MAX_CPU_DEVICES})",
    )
    options = parser.parse_args(arguments)
    if options.index is None and not options.labels:
        parser.error("give --index, --labels or both")
    options.modality = "protein"
    return options


def check(options: argparse.Namespace) -> None:
    """Raises UserError for values that cannot be."""
    check_least(options.min_confidence, "--min_confidence")
    if options.top < 1:
        raise UserError(f"--top={options.top} must be at least 1.")
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    if options.output.suffix != ".tsv":
        raise UserError(f"--output={options.output} must be named *.tsv.")


def origin(engine: SearchEngine) -> dict[str, str]:
    """What the lines come from: checkpoint, calibration, indexes and versions, by what
    identifies each."""
    opened = [*([engine.proteins] if engine.proteins else []), *engine.libraries.values()]
    facts = {"checkpoint": engine.model.fingerprint, "calibration": _digest_of(engine.calibration)}
    facts |= {index.folder.name: _digest(index.folder) for index in opened}
    versions = {project.DISTRIBUTION: project.version()} | metadata.versions()
    return facts | dict(sorted(versions.items()))


def provenance(options: argparse.Namespace, engine: SearchEngine) -> str:
    """One line on what the file was made with: the origin of its lines, and options."""
    facts = origin(engine) | {
        "top": str(options.top),
        "min_confidence": f"{options.min_confidence:g}",
    }
    told = "; ".join(f"{name} {fact}" for name, fact in facts.items())
    return f"# protclip_jax.annotate of {tsv_cell(Path(options.input).name)}: {told}"


def _digest_of(calibration: Calibration | None) -> str:
    """The first digits of a SHA-256 of a checkpoint's tables; `none` without them: an index's
    own are in its manifest."""
    return (
        hashlib.sha256(to_text(calibration, {}).encode()).hexdigest()[:16]
        if calibration
        else "none"
    )


def _digest(path: Path) -> str:
    """The SHA-256 of an index's manifest, which names all its files by theirs, or of a file of
    labels."""
    return file_sha256(path / MANIFEST if path.is_dir() else path)[:16]


def write_table(
    path: Path,
    engine: SearchEngine,
    parts: Sequence[Path],
    options: argparse.Namespace,
    *,
    described: Rows,
) -> None:
    """Writes the provenance, the header and all lines, part after part; `described` as for
    `annotated`."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        print(provenance(options, engine), file=file)
        print(*COLUMNS, sep="\t", file=file)
        for line in _lines(engine, parts, options, described):
            print(*line, sep="\t", file=file)


def _lines(
    engine: SearchEngine, parts: Sequence[Path], options: argparse.Namespace, described: Rows
) -> Iterator[tuple[str, ...]]:
    for part in progress(parts, description="annotate", unit="parts"):
        found = load_part(part, "projected")
        yield from annotated(
            engine, found, top=options.top, least=options.min_confidence, described=described
        )


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Surveys the input, embeds it part by part, and writes what is found for it."""
    options = parse_arguments(arguments)
    check(options)
    split_cpu(options.cpu_devices)
    batch_tokens = options.batch_tokens or default_batch_tokens()
    source = choose_source(options)
    rejects = options.output.with_name(f"{options.output.name}.rejects.tsv")
    with partial_folder(options.output) as folder:
        refuse_others(folder, [options.output], [rejects])
        with warnings_as_sentences():
            engine = SearchEngine.load(
                options.checkpoint, index=options.index, labels=options.labels, step=options.step
            )
        proteins = engine.proteins
        described = described_rows(proteins.items, folder=proteins.folder) if proteins else None
        reading = protein_embedder(["projected"], engine.windows, batch_tokens)
        if is_piped(source.path):
            source = dataclasses.replace(source, path=spool(source.path, folder / "stdin"))
        with writing(folder):
            listed = folder / "rejects.tsv"
            survey = take_survey(
                source,
                measure=reading.measure,
                rejects=listed,
                accept_doubtful=options.accept_doubtful,
            )
            tell(*survey.describe("protein", long_items=reading.long_items, rejects=rejects))
            asked = {
                "input": Path(options.input).name,
                "top": options.top,
                "min_confidence": options.min_confidence,
            }
            plan = {**origin(engine), **asked, "batch_tokens": batch_tokens, **reading.facts}
            adopt_plan(
                folder, plan | {"backend": jax.default_backend(), "devices": jax.device_count()}
            )
            publish_rejects(listed, rejected=survey.rejected, published=rejects)
        parts = embed_parts(
            engine.model,
            source,
            survey=survey,
            reading=reading,
            folder=folder,
            precision="float32",
            min_tokens=max(MIN_CHUNK_TOKENS, MIN_CHUNK_BATCHES * batch_tokens),
        )
        begin_finishing(folder, [options.output])
        partial = folder / f"{options.output.name}.writing"
        with writing(options.output), atomic_path(options.output, partial=partial) as path:
            write_table(path, engine, parts, options, described=described)
        remove_parts(folder)
    tell(f"wrote {options.output}")


if __name__ == "__main__":
    sys.exit(main())
