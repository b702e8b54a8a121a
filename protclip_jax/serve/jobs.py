"""Computations of the model for requests, in batches."""

import dataclasses
import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import numpy as np
from jaxtyping import Float32, Int64

from protclip_jax.inference.batched_calls import BULK_ROW_TOKENS
from protclip_jax.inference.segment_contrast import Contrast
from protclip_jax.retrieval.answer import Answer
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.query import Query

PROTEINS = ""
"""The key of the index of proteins among the names of libraries."""


Rows = Int64[np.ndarray, " m"] | None


class SearchJob(NamedTuple):
    """A query for some of the engine's indexes: `PROTEINS` and names of libraries.

    Attributes:
      among: the rows of proteins to search; None searches all.
    """

    query: Query
    indexes: tuple[str, ...]
    top: int
    among: Int64[np.ndarray, " m"] | None = None


class TracksJob(NamedTuple):
    """Property weights of a clean sequence for texts with their prefix."""

    sequence: str
    properties: Mapping[str, str]


class ContrastJob(NamedTuple):
    """Property weights of a clean sequence compared with those for other texts with prefix."""

    sequence: str
    properties: Mapping[str, str]
    others: Mapping[str, Sequence[str]]


Job = SearchJob | TracksJob | ContrastJob


def tokens_of(engine: SearchEngine, job: Job) -> int:
    """The cost of a job: the tokens of its protein and its texts."""
    if isinstance(job, ContrastJob):
        others = list(itertools.chain.from_iterable(job.others.values()))
        return len(job.sequence) + _text_tokens(engine, [*job.properties.values(), *others])
    if isinstance(job, TracksJob):
        return len(job.sequence) + _text_tokens(engine, list(job.properties.values()))
    if job.query.kind == "protein":
        return len(job.query.contents[0])
    return _text_tokens(engine, job.query.contents)


def _text_tokens(engine: SearchEngine, texts: Sequence[str]) -> int:
    tokenizer = engine.model.text_tokenizer
    if tokenizer is None:
        return 0
    limit = engine.model.config["tokenizer"]["max_text_tokens"]
    return sum(tokenizer.encode(text, max_tokens=limit).size for text in texts)


def work(
    engine: SearchEngine, jobs: Sequence[Job]
) -> list[dict[str, Answer] | Float32[np.ndarray, "_ _"] | dict[str, Contrast]]:
    """Returns each job's result: answers by index, weights, or contrasts by property.

    All queries are embedded together, and all tracks are computed together.
    """
    results: list = [None] * len(jobs)
    searches = [position for position, job in enumerate(jobs) if isinstance(job, SearchJob)]
    found = _searched(engine, [jobs[position] for position in searches])
    for position, answers in zip(searches, found, strict=True):
        results[position] = answers
    tracks = [position for position, job in enumerate(jobs) if isinstance(job, TracksJob)]
    if tracks:
        sequences = [jobs[i].sequence for i in tracks]
        weights = segments(engine, sequences, [jobs[i].properties for i in tracks])
        for position, rows in zip(tracks, weights, strict=True):
            results[position] = rows
    for position, job in enumerate(jobs):
        if isinstance(job, ContrastJob):
            results[position] = engine.model.segment_contrasts(
                *job, batch_tokens=engine.batch_tokens
            )
    return results


def _searched(engine: SearchEngine, jobs: Sequence[SearchJob]) -> list[dict[str, Answer]]:
    answers: list[dict[str, Answer]] = [{} for _ in jobs]
    vectors = engine.embed([job.query for job in jobs]) if jobs else None
    for name, index in {PROTEINS: engine.proteins, **engine.libraries}.items():
        chosen = [position for position, job in enumerate(jobs) if name in job.indexes]
        if index is None or not chosen:
            continue
        for some, among in _by_rows(jobs, chosen) if name == PROTEINS else [(chosen, None)]:
            queries = [jobs[position].query for position in some]
            top = max(jobs[position].top for position in some)
            found = engine.answers(index, queries, vectors[some], top, among=among)
            for position, answer in zip(some, found, strict=True):
                answers[position][name] = dataclasses.replace(
                    answer, hits=answer.hits[: jobs[position].top]
                )
    return answers


def _by_rows(jobs: Sequence[SearchJob], chosen: Sequence[int]) -> Iterator[tuple[list[int], Rows]]:
    """Groups jobs to search together, with their rows: first unrestricted jobs, then each other."""
    limited = [position for position in chosen if jobs[position].among is not None]
    if everything := [position for position in chosen if position not in limited]:
        yield everything, None
    for position in limited:
        yield [position], jobs[position].among


def segments(
    engine: SearchEngine, sequences: Sequence[str], properties: Sequence[Mapping[str, str]]
) -> list[np.ndarray]:
    """Property weights, computed in rows of one length.

    Choosing row lengths for proteins and texts separately would give nine shapes instead of one.
    """
    return engine.model.segments_batch(
        sequences, properties, batch_tokens=engine.batch_tokens, row_tokens=BULK_ROW_TOKENS
    )


def prepare(engine: SearchEngine) -> None:
    """Makes a CPU compute one row at a time.

    Groups of rows only help accelerators, and few requests would leave a group mostly empty.
    """
    if jax.default_backend() == "cpu":
        engine.batch_tokens = BULK_ROW_TOKENS


def warm_up(engine: SearchEngine) -> None:
    """Computes a request of every shape once, so that its program is compiled.

    Proteins longer than a row are excepted. A shape is one row of 256, 512 or 1,024 tokens, or a
    group of rows of 1,024 (`batched_calls`).
    """
    groups = engine.model.groups
    for residues, count in [(100, 1), (300, 1), (700, 1), (600, 8)]:
        engine.embed([Query("", "protein", ("L" * residues,))] * count)
    text = "PROTEIN NAME: " + "protein " * 100
    if {"text", "text_projection"} <= groups:
        for count in (1, 3, 6, 60):
            engine.embed([Query("", "text", (text,))] * count)
    if {"text", "prototype_bank"} <= groups:
        for count in (1, 4):
            segments(engine, ["L" * 600] * count, [{"function": "FUNCTION: binds zinc"}] * count)
