"""`python -m protclip_jax.variants`: scores substitutions by the masked language model.

The input and the list of mutations are read and checked first. Scores are then computed in parts,
which are stored in OUTPUT.partial, so that rerunning the same command resumes a stopped run. At the
end the parts are joined into a table, and for a scan of one protein also drawn as a heat map.
"""

import argparse
import contextlib
import importlib.metadata
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import print_status
from data_pipelines.inputs.mutation_file import read_mutations
from data_pipelines.inputs.survey import Measured, take_survey
from data_pipelines.protanno.record import biotext, with_names
from protclip_jax.checkpoints import best
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.config.schema import completed
from protclip_jax.convert.hub_folder import open_checkpoint
from protclip_jax.distributed.cpu_devices import split_cpu
from protclip_jax.embed.__main__ import LIBRARIES
from protclip_jax.embed.parts import publish_rejects
from protclip_jax.embed.resume import (
    adopt_plan,
    begin_finishing,
    partial_folder,
    refuse_others,
    remove_parts,
)
from protclip_jax.inference.batched_calls import default_batch_tokens
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import Windows
from protclip_jax.variants import jobs as jobs_
from protclip_jax.variants.command_line import (
    TABLE,
    chosen_source,
    output_paths,
    parse_arguments,
)
from protclip_jax.variants.jobs import Job
from protclip_jax.variants.parts import parts
from protclip_jax.variants.results import draw, write_table
from protclip_jax.variants.scoring import Reading, loaded, score_parts, writing

MIN_PART_TOKENS, MIN_PART_BATCHES = 1 << 16, 8
"""Minimum size of a part; bounds the work lost in a kill and the empty share of a last batch."""
REJECTS = ("rejects", "mutations.rejects")
"""Lists written beside the output: proteins and mutations that cannot be scored."""
LONG_PROTEINS = {
    "windows": "each position is read in a window of that size around it",
    "truncate": "CUT to that length, only substitutions in the rest are scored",
    "whole": "read whole, although longer than ESM-2's training proteins",
}


def texts_of(options: argparse.Namespace, jobs: Sequence[Job], names: str) -> list[str]:
    """Returns the text of each job; an empty list if the options request no text.

    Raises:
      UserError: one text is given for several proteins, or a protein has no text of its own.
    """
    if options.text is not None:
        if len(jobs) > 1:
            raise UserError(
                f"--text describes one protein, but the input has {len(jobs)}; use --own_text."
            )
        return [options.text]
    if not options.own_text:
        return []
    if bare := [job.id for job in jobs if job.record is None]:
        raise UserError(
            f"--own_text needs UniProt entries as --input, but {bare[0]} is not one; use --text "
            "for a single protein."
        )
    texts = [biotext(with_names(job.record, names)) for job in jobs]
    if silent := [job.id for job, text in zip(jobs, texts, strict=True) if not text]:
        raise UserError(
            f"--own_text needs entries with text, but {silent[0]} has none; remove it from the "
            "input."
        )
    return texts


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Checks the input, scores it in parts, and joins the parts."""
    options = parse_arguments(arguments)
    windows = Windows(options.long_proteins, options.max_residues, options.overlap)
    if options.batch_tokens is not None and options.batch_tokens < 1:
        raise UserError(f"--batch_tokens={options.batch_tokens} must be at least 1.")
    table, figure = output_paths(options)
    split_cpu(options.cpu_devices)
    options.checkpoint = open_checkpoint(options.checkpoint, options.step)
    step = best.resolve_step(options.checkpoint, options.step)
    with_text = options.text is not None or options.own_text
    check_groups(stored_groups(options.checkpoint, step), with_text=with_text)
    with partial_folder(options.output) as folder:
        outputs = [path for path in (table, figure) if path]
        refuse_others(folder, outputs, [beside(options.output, name) for name in REJECTS])
        found = surveyed(options, windows, folder)
        if figure is not None and len(found) > 1:
            raise UserError(
                f"--output={figure} draws one protein, but the input has {len(found)}; name it "
                f"*{TABLE} for several."
            )
        jobs = asked_for(options, found, windows, folder)

        model = ProtCLIP.load(options.checkpoint, step=step, dtype=options.dtype)
        texts = texts_of(options, jobs, completed(model.config)["tokenizer"]["names"])
        batch_tokens = options.batch_tokens or default_batch_tokens()
        reading = Reading(options.method, windows, batch_tokens)
        adopt(options, model, texts, reading, folder=folder)
        min_tokens = max(MIN_PART_TOKENS, MIN_PART_BATCHES * batch_tokens)
        cut = list(
            parts(
                jobs,
                method=options.method,
                windows=windows,
                with_text=with_text,
                min_tokens=min_tokens,
            )
        )
        paths = score_parts(model, jobs, cut, texts, folder=folder, reading=reading)
        columns = loaded(paths, ["score", "text_change"] if with_text else ["score"])
        first = options.first_position
        begin_finishing(folder, outputs)
        with published(table, folder) as path:
            write_table(path, jobs, columns, first_position=first)
        if figure is not None:
            with published(figure, folder) as path:
                draw(path, jobs[0], columns["score"], first_position=first, method=options.method)
        remove_parts(folder)
    print_status(f"wrote {' and '.join(str(path) for path in (figure, table) if path)}")


@contextlib.contextmanager
def published(output: Path, folder: Path) -> Iterator[Path]:
    """Yields a path in the folder to write to; moves the complete file to `output` on success."""
    # Named like the output, because the suffix selects the format of a figure.
    with writing(output), atomic_path(output, partial=folder / output.name) as partial:
        yield partial


def check_groups(groups: frozenset[str], *, with_text: bool) -> None:
    """Raises UserError if a checkpoint lacks parameters that the command needs."""
    needed = {"protein", "mlm_head"}
    if with_text:
        needed |= {"text", "protein_projection", "text_projection"}
    if missing := sorted(needed - groups):
        raise UserError(
            f"the checkpoint has no {', '.join(missing)} parameters, only "
            f"{', '.join(sorted(groups))}; pass a trained or converted ProtCLIP."
        )


def surveyed(options: argparse.Namespace, windows: Windows, folder: Path) -> list[Job]:
    """Returns the usable proteins of the input; lists the rejects in the folder."""

    def measure(sequence: str) -> Measured:
        return Measured(len(sequence) + 2, windows.is_long(len(sequence)))

    with writing(folder):
        source = chosen_source(options, folder)
        survey = take_survey(
            source,
            measure=measure,
            rejects=folder / "rejects.tsv",
            accept_doubtful=options.accept_doubtful,
        )
    long_items = f"of more than {windows.max_residues:,} residues: {LONG_PROTEINS[windows.policy]}"
    rejects = beside(options.output, "rejects")
    print_status(*survey.describe("protein", long_items=long_items, rejects=rejects))
    found = jobs_.proteins(source.prepared(), survey)
    if options.sequence is not None:
        return [found[0]._replace(id="sequence")]
    return found


def asked_for(
    options: argparse.Namespace,
    found: Sequence[Job],
    windows: Windows,
    folder: Path,
) -> list[Job]:
    """Returns the proteins with their variants; lists rejected mutations in the folder."""
    if options.scan:
        jobs, rejects = jobs_.scanned(found, windows), []
    else:
        jobs, rejects = jobs_.listed(
            found,
            read_mutations(options.mutations),
            first_position=options.first_position,
            windows=windows,
        )
    with writing(folder):
        jobs_.write_rejects(folder / "mutations.rejects.tsv", rejects)
    if rejects:
        print_status(*jobs_.describe(rejects, beside(options.output, "mutations.rejects")))
    count = sum(len(job.variants) for job in jobs)
    if not count:
        raise UserError(
            "the input has nothing to score: none of its residues is one of the 20 amino acids; "
            "pass other proteins."
        )
    print_status(f"scoring: {count:,} variants of {len(jobs):,} proteins, {options.method}.")
    return jobs


def adopt(
    options: argparse.Namespace,
    model: ProtCLIP,
    texts: Sequence[str],
    reading: Reading,
    *,
    folder: Path,
) -> None:
    """Records what the scores depend on, or checks that the stopped run had the same settings."""
    plan = {
        "checkpoint": model.fingerprint,
        "method": reading.method,
        "texts": f"{hash64(json.dumps(texts)):016x}",
        "dtype": options.dtype,
        "long_proteins": reading.windows.policy,
        "max_residues": reading.windows.max_residues,
        "overlap": reading.windows.overlap,
        "batch_tokens": reading.batch_tokens,
        "backend": jax.default_backend(),
        "devices": jax.device_count(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
    }
    with writing(folder):
        adopt_plan(folder, plan)
        for name in REJECTS:
            listing = folder / f"{name}.tsv"
            rejected = len(listing.read_text(encoding="utf-8").splitlines()) - 1
            publish_rejects(listing, rejected=rejected, published=beside(options.output, name))
    if finished := len(list(folder.glob("*.npz"))):
        print_status(f"resuming: {finished} finished parts of a stopped run were found.")


def beside(output: Path, name: str) -> Path:
    """Path of a list of rejects."""
    return output.with_name(f"{output.name}.{name}.tsv")


if __name__ == "__main__":
    sys.exit(main())
