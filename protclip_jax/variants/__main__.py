"""`python -m protclip_jax.variants`: effects of substitutions by the masked language model.

The input and the list of mutations are read and checked first. Then the scores are computed in
parts, which lie in OUTPUT.partial: a run that was stopped goes on when the same command is given
again. At the end the parts become one table, and of a scan of one protein a heat map.
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
from data_pipelines.common.progress import tell
from data_pipelines.inputs.mutation_file import read_mutations
from data_pipelines.inputs.survey import Measured, take_survey
from data_pipelines.protanno.record import biotext, with_names
from protclip_jax.checkpoints import best
from protclip_jax.checkpoints.parameters import stored_groups
from protclip_jax.config.schema import completed
from protclip_jax.convert.hub_folder import open_checkpoint
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
from protclip_jax.inference.cpu_devices import split_cpu
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
"""Of a part, which bounds what a kill loses and the share of a part's last batch that is empty."""
REJECTS = ("rejects", "mutations.rejects")
"""Lists that are put beside the output: of proteins and of mutations that cannot be scored."""
LONG_PROTEINS = {
    "windows": "a position is read in the window of so many around it",
    "truncate": "CUT, only substitutions in the first so many are scored",
    "whole": "read whole, longer than the proteins that ESM-2 was trained on",
}


def texts_of(options: argparse.Namespace, jobs: Sequence[Job], names: str) -> list[str]:
    """The text of each job; none of them where no text is asked for.

    Raises:
      UserError: one text is given for several proteins, or a protein has none of its own.
    """
    if options.text is not None:
        if len(jobs) > 1:
            raise UserError(f"--text is of one protein and there are {len(jobs)}; use --own_text.")
        return [options.text]
    if not options.own_text:
        return []
    if bare := [job.id for job in jobs if job.record is None]:
        raise UserError(f"--own_text needs UniProt entries as --input; {bare[0]} is none.")
    texts = [biotext(with_names(job.record, names)) for job in jobs]
    if silent := [job.id for job, text in zip(jobs, texts, strict=True) if not text]:
        raise UserError(
            f"--own_text needs entries with text, and {silent[0]} has none; leave it out of "
            "the input."
        )
    return texts


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Checks the input, scores it part by part, and joins the parts."""
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
            raise UserError(f"--output={figure} draws one protein; name it *{TABLE} for several.")
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
    tell(f"wrote {' and '.join(str(path) for path in (figure, table) if path)}")


@contextlib.contextmanager
def published(output: Path, folder: Path) -> Iterator[Path]:
    """A path in the folder to write a file to, which is then put in its place, whole or not at
    all."""
    # Named as the output, whose suffix says what a figure is.
    with writing(output), atomic_path(output, partial=folder / output.name) as partial:
        yield partial


def check_groups(groups: frozenset[str], *, with_text: bool) -> None:
    """Raises `UserError` where a checkpoint's parameters do not suffice."""
    needed = {"protein", "mlm_head"}
    if with_text:
        needed |= {"text", "protein_projection", "text_projection"}
    if missing := sorted(needed - groups):
        raise UserError(
            f"the checkpoint holds no {', '.join(missing)} parameters, only "
            f"{', '.join(sorted(groups))}; give a trained or converted ProtCLIP."
        )


def surveyed(options: argparse.Namespace, windows: Windows, folder: Path) -> list[Job]:
    """The usable proteins of the input; its rejects are listed in the folder."""

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
    tell(*survey.describe("protein", long_items=long_items, rejects=rejects))
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
    """The proteins with their variants; mutations that are rejected are listed in the folder."""
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
        tell(*jobs_.describe(rejects, beside(options.output, "mutations.rejects")))
    count = sum(len(job.variants) for job in jobs)
    if not count:
        raise UserError("there is nothing to score: no residue is one of the 20 amino acids.")
    tell(f"scoring: {count:,} variants of {len(jobs):,} proteins, {options.method}.")
    return jobs


def adopt(
    options: argparse.Namespace,
    model: ProtCLIP,
    texts: Sequence[str],
    reading: Reading,
    *,
    folder: Path,
) -> None:
    """Notes in the folder what the numbers depend on, or checks that a stopped run has the same."""
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
        tell(f"resuming: {finished} finished parts are there from a run that was stopped.")


def beside(output: Path, name: str) -> Path:
    """Where a list of rejects is put."""
    return output.with_name(f"{output.name}.{name}.tsv")


if __name__ == "__main__":
    sys.exit(main())
