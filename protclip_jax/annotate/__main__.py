"""`python -m protclip_jax.annotate`: annotates every protein of a file as TSV, with a summary page.

Proteins are embedded in parts, as by `python -m protclip_jax.embed`. If a run is interrupted, the
same command resumes with the parts that are done.
"""

import argparse
import hashlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from data_pipelines.common import project
from data_pipelines.common.atomic_write import atomic_path, atomic_write
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.plain_text import tsv_cell
from data_pipelines.common.progress import print_status, progress
from data_pipelines.common.tables import TableWriter
from data_pipelines.common.warned import warnings_as_sentences
from data_pipelines.inputs.input_formats import BY_NAME
from data_pipelines.inputs.source_options import choose_source
from protclip_jax.annotate.page import html_page
from protclip_jax.annotate.rows import COLUMNS, annotated, described_rows
from protclip_jax.annotate.summary import Summary
from protclip_jax.checkpoints import metadata
from protclip_jax.distributed.cpu_devices import MAX_CPU_DEVICES, split_cpu
from protclip_jax.embed.embedding_files import load_part
from protclip_jax.embed.embedding_kinds import protein_embedder
from protclip_jax.embed.parts import begin, embed_parts, survey_input, writing
from protclip_jax.embed.resume import (
    begin_finishing,
    partial_folder,
    refuse_others,
    remove_parts,
)
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.retrieval.answer import check_least
from protclip_jax.retrieval.calibration import LEAST, Calibration, to_text
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.homology import HITS_HELP
from protclip_jax.retrieval.index_folder import MANIFEST
from protclip_jax.retrieval.scores import DEFINITION

TOP = 3
SUFFIXES = (".tsv", ".html")
Rows = Int64[np.ndarray, " m"] | None


def parse_arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parses the command line; argparse exits with code 2 on invalid arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m protclip_jax.annotate",
        description="Annotates every protein of a file with the nearest described proteins and "
        "with the labels of each library. Each aspect is ranked separately. Hits below "
        "--min_confidence are left out; if the best hit is below it, the aspect gets one line "
        "without a hit.",
        epilog=f"{DEFINITION}. Example: python -m protclip_jax.annotate --checkpoint runs/demo "
        "--index proteins.index --labels places.labels --input proteome.fasta --output "
        "proteome.tsv",
    )
    add = parser.add_argument
    add(
        "--checkpoint",
        required=True,
        metavar="DIR",
        help="checkpoint that the indexes were made with",
    )
    add(
        "--step",
        help="step to load: a number, best or latest (default: best if recorded, else latest)",
    )
    add(
        "--input",
        required=True,
        metavar="FILE",
        help="proteins: FASTA, or a table with a column of sequences; - reads FASTA from stdin",
    )
    add("--format", choices=BY_NAME, help="format of --input (default: inferred from its name)")
    add("--column", help="table column of the sequences (default: sequence, Sequence or seq)")
    add(
        "--id_column",
        help="table column of the ids (default: id, Entry or accession, else the row number)",
    )
    add(
        "--index",
        type=Path,
        metavar="DIR",
        help="index of proteins with names or functions, made with `python -m protclip_jax.index`",
    )
    add(
        "--labels",
        nargs="+",
        default=[],
        type=Path,
        metavar="DIR|FILE",
        help="label indexes made with `index --labels`, or label files; pass each aspect of GO as "
        "a separate library",
    )
    add(
        "--output",
        type=Path,
        required=True,
        metavar="FILE",
        help="new file named *.tsv, or *.html for a summary page with the table written next to it",
    )
    add("--hits", type=Path, metavar="FILE", help=HITS_HELP)
    add("--top", type=int, default=TOP, help="maximum hits per aspect (default %(default)s)")
    add(
        "--min_confidence",
        type=float,
        default=LEAST,
        metavar="SHARE",
        help="minimum confidence of a hit to be written (default %(default)s)",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="annotate even if the sequences look like nucleotides",
    )
    add("--batch_tokens", type=int, help="tokens per model call, as for embed")
    add(
        "--cpu_devices",
        type=int,
        help=f"virtual CPU devices (default: one per core, at most {MAX_CPU_DEVICES})",
    )
    options = parser.parse_args(arguments)
    if options.index is None and not options.labels:
        parser.error("pass --index, --labels or both")
    options.modality = "protein"
    return options


def check(options: argparse.Namespace) -> None:
    """Raises UserError for invalid or conflicting options."""
    check_least(options.min_confidence, "--min_confidence")
    if options.top < 1:
        raise UserError(f"--top={options.top} must be at least 1.")
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    if options.output.suffix not in SUFFIXES:
        raise UserError(f"--output={options.output} must be named *{' or *'.join(SUFFIXES)}.")
    if options.hits and options.index is None:
        raise UserError(
            f"--hits={options.hits} lists hits to the proteins of an index; pass --index too."
        )


def origin(options: argparse.Namespace, engine: SearchEngine) -> dict[str, str]:
    """Identifies the checkpoint, calibration, indexes, hits and versions behind the result."""
    opened = engine.aspects.values()
    facts = {"checkpoint": engine.model.fingerprint, "calibration": _digest_of(engine.calibration)}
    facts |= {index.folder.name: _digest(index.folder) for index in opened}
    facts |= {"hits": _digest(options.hits)} if options.hits else {}
    versions = {project.DISTRIBUTION: project.version()} | metadata.versions()
    return facts | dict(sorted(versions.items()))


def result_options(options: argparse.Namespace) -> dict:
    """The options that determine the result, in addition to its origin."""
    name = Path(options.input).name
    return {"input": name, "top": options.top, "min_confidence": options.min_confidence}


def provenance(options: argparse.Namespace, engine: SearchEngine) -> str:
    """Formats the origin of the result and the options as one comment line."""
    facts = origin(options, engine) | {
        "top": str(options.top),
        "min_confidence": f"{options.min_confidence:g}",
    }
    origins = "; ".join(f"{name} {fact}" for name, fact in facts.items())
    return tsv_cell(f"# protclip_jax.annotate of {Path(options.input).name}: {origins}")


def _digest_of(calibration: Calibration | None) -> str:
    """The first digits of the SHA-256 of the checkpoint's calibration, or `none`.

    The calibration of an index is covered by the digest of its manifest.
    """
    return (
        hashlib.sha256(to_text(calibration, {}).encode()).hexdigest()[:16]
        if calibration
        else "none"
    )


def _digest(path: Path) -> str:
    """The first digits of the SHA-256 of a file, or of an index's manifest.

    The manifest contains the SHA-256 of all other files of the index.
    """
    return file_sha256(path / MANIFEST if path.is_dir() else path)[:16]


def outputs_of(output: Path) -> list[Path]:
    """The files to write: the table, then the page if one is requested."""
    table = output.with_suffix(".tsv")
    return [table] if output == table else [table, output]


def write_table(
    path: Path, lines: Iterator[Sequence[str]], *, provenance: str, summary: Summary
) -> None:
    """Writes the provenance, the header and all lines, and adds the lines to the summary."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        print(provenance, file=file)
        table = TableWriter(file)
        table.writerow(COLUMNS)
        for line in lines:
            table.writerow(line)
            summary.add(line)


def lines_of(
    engine: SearchEngine, parts: Sequence[Path], options: argparse.Namespace
) -> Iterator[tuple[str, ...]]:
    """Yields the lines of all parts; raises UserError like `described_rows`."""
    described = described_of(engine)
    for part in progress(parts, description="annotate", unit="parts"):
        found = load_part(part, "projected")
        yield from annotated(
            engine, found, top=options.top, least=options.min_confidence, described=described
        )


def described_of(engine: SearchEngine) -> Rows:
    """The rows of proteins to search (`described_rows`)."""
    proteins = engine.proteins
    return described_rows(proteins.items, folder=proteins.folder) if proteins else None


def load_engine(options: argparse.Namespace) -> SearchEngine:
    """Loads the checkpoint and the indexes; prints warnings as plain sentences.

    Raises:
      UserError: see `SearchEngine.load` and `described_rows`.
    """
    with warnings_as_sentences():
        engine = SearchEngine.load(
            options.checkpoint,
            index=options.index,
            labels=options.labels,
            step=options.step,
            hits=options.hits,
        )
    described_of(engine)
    if engine.homology is not None:
        print_status(
            f"{options.hits}: {len(engine.homology):,} proteins have relatives in the index."
        )
    return engine


def finish(
    options: argparse.Namespace, engine: SearchEngine, parts: Sequence[Path], folder: Path
) -> None:
    """Writes the table and the requested page, each completely or not at all."""
    outputs = outputs_of(options.output)
    begin_finishing(folder, outputs)
    comment, summary = provenance(options, engine), Summary(options.min_confidence)
    table, *pages = outputs
    partial = folder / f"{table.name}.writing"
    with writing(table), atomic_path(table, partial=partial) as path:
        write_table(path, lines_of(engine, parts, options), provenance=comment, summary=summary)
    for page in pages:
        with writing(page):
            text = html_page(summary, provenance=comment.removeprefix("# "), table=table.name)
            atomic_write(page, text, partial=folder / f"{page.name}.writing")


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Surveys the input, embeds it part by part, and writes the annotation."""
    options = parse_arguments(arguments)
    check(options)
    split_cpu(options.cpu_devices)
    batch_tokens = options.batch_tokens or default_batch_tokens()
    source = choose_source(options)
    outputs = outputs_of(options.output)
    rejects = options.output.with_name(f"{options.output.name}.rejects.tsv")
    with partial_folder(options.output) as folder:
        refuse_others(folder, outputs, [rejects])
        engine = load_engine(options)
        reading = protein_embedder(["projected"], engine.windows, batch_tokens)
        source, survey = survey_input(
            source,
            reading=reading,
            folder=folder,
            rejects=rejects,
            accept_doubtful=options.accept_doubtful,
        )
        plan = {**origin(options, engine), **result_options(options), "batch_tokens": batch_tokens}
        begin(folder, {**plan, **reading.facts}, rejected=survey.rejected, rejects=rejects)
        parts = embed_parts(
            engine.model,
            source,
            survey=survey,
            reading=reading,
            folder=folder,
            batch_tokens=batch_tokens,
        )
        finish(options, engine, parts, folder)
        remove_parts(folder)
    print_status(f"wrote {' and '.join(map(str, outputs))}")


if __name__ == "__main__":
    sys.exit(main())
