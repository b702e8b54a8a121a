"""What every command that embeds a file does: it surveys the input, adopts a plan, and embeds
chunk after chunk into part files, which a run that is stopped leaves behind."""

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
from data_pipelines.common.progress import progress, tell
from data_pipelines.inputs.chunks import chunks
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.source_options import is_piped, spool
from data_pipelines.inputs.survey import Survey, take_survey
from protclip_jax.embed.embedding_files import save_part
from protclip_jax.embed.embedding_kinds import Embedder, Vectors
from protclip_jax.embed.resume import adopt_plan
from protclip_jax.inference.protclip import ProtCLIP

MIN_CHUNK_TOKENS, MIN_CHUNK_BATCHES = 1 << 16, 8
"""Of a chunk, which bounds the memory, the work that a kill loses, and the share of a chunk's
last batch that is empty."""
REJECTS = "rejects.tsv"
"""In the folder of parts, until the plan is adopted."""

writing = functools.partial(report_disk_errors, kept="finished parts are kept")


def surveyed(
    source: Source,
    *,
    reading: Embedder,
    folder: Path,
    rejects: Path,
    accept_doubtful: bool,
    noun: str = "",
) -> tuple[Source, Survey]:
    """The input and its survey, which is told on stderr; what is piped is first put into the
    folder of parts.

    Args:
      rejects: where `begin` will list what is rejected.
      noun: what an item is called; '' takes the source's modality.

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
    tell(*survey.describe(noun or source.modality, long_items=reading.long_items, rejects=rejects))
    return source, survey


def begin(folder: Path, plan: Mapping, *, rejected: int, rejects: Path) -> None:
    """Adopts the plan of a run, with the devices that it runs on, and puts the list of rejects
    beside the output.

    Raises:
      UserError: the folder holds the parts of a run with another plan.
    """
    devices = {"backend": jax.default_backend(), "devices": jax.device_count()}
    with writing(folder):
        adopt_plan(folder, {**plan, **devices})
        publish_rejects(folder / REJECTS, rejected=rejected, published=rejects)
    if finished := len(list(folder.glob("*.npz"))):
        tell(f"resuming: {finished} finished parts are there from a run that was stopped.")


def publish_rejects(listed: Path, *, rejected: int, published: Path) -> None:
    """Puts the list of what was rejected beside the output; without any, removes that of an
    earlier run."""
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
    """Embeds what is not in the folder yet; returns the part files in the order of the input.

    Args:
      batch_tokens: of one call of the model; a part holds at least `MIN_CHUNK_BATCHES` of them.
      precision: of what is stored.
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
                kind: stored(vectors, precision)
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
        raise UserError(f"{source.path} was changed while it was read; run the same command again.")
    seconds = time.perf_counter() - start
    tell(
        f"embedded: {items:,} {source.modality}s; {computed:,} tokens in {seconds:.1f} s, "
        f"{computed / seconds:,.0f} a second."
    )
    return parts


def stored(vectors: Vectors, precision: str) -> Vectors:
    """In the dtype of the file; raises UserError where that is too narrow."""
    if isinstance(vectors, list):
        return [stored(rows, precision) for rows in vectors]
    with np.errstate(over="ignore"):
        narrow = vectors.astype(precision, copy=False)
    if not np.isfinite(narrow).all():
        raise UserError(
            f"an embedding has values that are no finite {precision}; use --precision "
            "float32 --dtype float32."
        )
    return narrow
