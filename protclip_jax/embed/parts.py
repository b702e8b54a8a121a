"""Steps that all commands share that embed a file: survey, plan, and embedding into part files."""

import dataclasses
import functools
import os
import time
from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status, progress
from data_pipelines.inputs.chunks import chunks
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.source_options import is_piped, spool
from data_pipelines.inputs.survey import Survey, take_survey
from protclip_jax.embed.embedding_files import save_part
from protclip_jax.embed.embedding_kinds import Embedder, Vectors
from protclip_jax.embed.resume import adopt_plan
from protclip_jax.inference.protclip import ProtCLIP

MIN_CHUNK_TOKENS, MIN_CHUNK_BATCHES = 1 << 16, 8
"""Minimum size of a chunk.

It bounds the memory, the work lost in a kill, and the empty share of a chunk's last batch.
"""
REJECTS = "rejects.tsv"
"""The list of rejects in the folder of parts, until the plan is adopted."""

writing = functools.partial(report_disk_errors, kept="finished parts are kept")


def survey_input(
    source: Source,
    *,
    reading: Embedder,
    folder: Path,
    rejects: Path,
    accept_doubtful: bool,
    noun: str = "",
) -> tuple[Source, Survey]:
    """Surveys the input and reports the survey on stderr; piped input is first saved to the folder.

    Args:
      rejects: where `begin` will list rejected items.
      noun: name of an item; '' uses the source's modality.

    Raises:
      UserError, RunError: as `spool` and `take_survey`.
    """
    if isinstance(source, Source) and is_piped(source.path):
        source = dataclasses.replace(source, path=spool(source.path, folder / "stdin"))
    with writing(folder):
        survey = take_survey(
            source,
            measure=reading.measure,
            rejects=folder / REJECTS,
            accept_doubtful=accept_doubtful,
        )
    print_status(
        *survey.describe(noun or source.modality, long_items=reading.long_items, rejects=rejects)
    )
    return source, survey


def begin(folder: Path, plan: Mapping, *, rejected: int, rejects: Path) -> None:
    """Adopts a run's plan with its devices, and publishes the list of rejects next to the output.

    Raises:
      UserError: the folder holds the parts of a run with another plan.
    """
    devices = {"backend": jax.default_backend(), "devices": jax.device_count()}
    with writing(folder):
        adopt_plan(folder, {**plan, **devices})
        publish_rejects(folder / REJECTS, rejected=rejected, published=rejects)
    if finished := len(list(folder.glob("*.npz"))):
        print_status(f"resuming: {finished} finished parts of a stopped run are reused.")


def publish_rejects(listed: Path, *, rejected: int, published: Path) -> None:
    """Moves the list of rejects next to the output; without rejects, removes an earlier run's."""
    if rejected:
        os.replace(listed, published)
    else:
        published.unlink(missing_ok=True)


def embed_parts(
    model: ProtCLIP,
    source: Source,
    *,
    survey: Survey,
    reading: Embedder,
    folder: Path,
    batch_tokens: int,
    precision: str = "float32",
) -> list[Path]:
    """Embeds the chunks missing from the folder; returns the part files in input order.

    Args:
      batch_tokens: tokens per model call; a part holds at least `MIN_CHUNK_BATCHES` such
        batches.
      precision: dtype of the stored embeddings.
    """
    min_tokens = max(MIN_CHUNK_TOKENS, MIN_CHUNK_BATCHES * batch_tokens)
    parts, items, computed, start = [], 0, 0, time.perf_counter()
    with progress(description="embed", unit="tokens", total=survey.tokens) as bar:
        for chunk in chunks(source, survey, measure=reading.measure, min_tokens=min_tokens):
            part = folder / f"{len(parts):06}-{chunk.digest}.npz"
            parts.append(part)
            items += len(chunk.ids)
            if part.exists():
                bar.initial += chunk.tokens
                bar.n += chunk.tokens
                continue
            embeddings = {
                kind: convert(vectors, precision)
                for kind, vectors in reading.embed(model, chunk.texts).items()
            }
            with writing(part):
                lengths = [len(text) for text in chunk.texts]
                save_part(
                    part, ids=chunk.ids, lengths=lengths, embeddings=embeddings, hashes=chunk.hashes
                )
            bar.update(chunk.tokens)
            computed += chunk.tokens
    if items != survey.usable:
        raise UserError(f"{source.path} changed while it was being read; rerun the command.")
    seconds = time.perf_counter() - start
    print_status(
        f"embedded: {items:,} {source.modality}s; {computed:,} tokens in {seconds:.1f} s, "
        f"{computed / seconds:,.0f} per second."
    )
    return parts


def convert(vectors: Vectors, precision: str) -> Vectors:
    """Converts embeddings to the stored dtype; raises UserError if they overflow it."""
    if isinstance(vectors, list):
        return [convert(rows, precision) for rows in vectors]
    with np.errstate(over="ignore"):
        narrow = vectors.astype(precision, copy=False)
    if not np.isfinite(narrow).all():
        raise UserError(
            f"an embedding has values that are not finite in {precision}; use --precision float32 "
            "--dtype float32."
        )
    return narrow
