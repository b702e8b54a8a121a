"""Computes scores in parts, as files from which a stopped run resumes."""

import functools
import time
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status, progress
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.inference.windows import Windows
from protclip_jax.variants.jobs import Job
from protclip_jax.variants.parts import Part

writing = functools.partial(report_disk_errors, kept="finished parts are kept")

Scores = Mapping[str, Float32[np.ndarray, " _"]]
"""Columns of the table: `score`, and `text_change` if there is a text."""


class Reading(NamedTuple):
    """Arguments of `ProtCLIP.variant_scores` that say how the model reads the proteins."""

    method: str
    windows: Windows
    batch_tokens: int


def score_part(
    model: ProtCLIP,
    jobs: Sequence[Job],
    part: Part,
    texts: Sequence[str],
    reading: Reading,
) -> Scores:
    """Computes the columns of a part's rows; `texts` has one text per job, or none."""
    sequences = [jobs[piece.job].sequence for piece in part.pieces]
    variants = [jobs[p.job].variants[p.start : p.stop] for p in part.pieces]
    scores = model.variant_scores(
        sequences,
        variants,
        method=reading.method,
        windows=reading.windows,
        batch_tokens=reading.batch_tokens,
    )
    columns = {"score": scores}
    if texts:
        columns["text_change"] = []
        for piece, sequence, own in zip(part.pieces, sequences, variants, strict=True):
            changes = model.text_changes(
                sequence,
                own,
                texts[piece.job],
                windows=reading.windows,
                batch_tokens=reading.batch_tokens,
            )
            columns["text_change"].append(changes)
    return {name: np.concatenate(values) for name, values in columns.items()}


def score_parts(
    model: ProtCLIP,
    jobs: Sequence[Job],
    cut: Sequence[Part],
    texts: Sequence[str],
    *,
    folder: Path,
    reading: Reading,
) -> list[Path]:
    """Scores the parts that the folder does not contain yet; returns the part files in order."""
    paths, computed, start = [], 0, time.perf_counter()
    total = sum(part.tokens for part in cut)
    with progress(description="score", unit="tokens", total=total) as bar:
        for number, part in enumerate(cut):
            path = folder / f"{number:06}-{part.digest(jobs)}.npz"
            paths.append(path)
            if path.exists():
                bar.initial += part.tokens
                bar.n += part.tokens
                continue
            columns = score_part(model, jobs, part, texts, reading)
            partial = path.with_name(f"{path.name}.writing")
            with writing(path), atomic_path(path, partial=partial) as new, open(new, "wb") as file:
                np.savez(file, **columns)
            computed += columns["score"].size
            bar.update(part.tokens)
    seconds = time.perf_counter() - start
    rate = computed / seconds
    print_status(f"scored: {computed:,} variants in {seconds:.1f} s, {rate:,.0f} per second.")
    return paths


def loaded(paths: Sequence[Path], names: Sequence[str]) -> dict[str, np.ndarray]:
    """Concatenates the columns of all parts.

    Raises:
      UserError: a part is damaged.
    """
    columns = {name: [] for name in names}
    for path in paths:
        try:
            with np.load(path) as arrays:
                for name, values in columns.items():
                    values.append(arrays[name])
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            problem = f"{path} is damaged ({error})"
            raise UserError(f"{problem}; remove it, then rerun the same command.") from error
    return {name: np.concatenate(values) for name, values in columns.items()}
