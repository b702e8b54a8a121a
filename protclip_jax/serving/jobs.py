"""What the model is asked to compute for requests, many at a time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from protclip_jax.retrieval.engine import Answer, SearchEngine
from protclip_jax.retrieval.query import Query

PROTEINS = ""
"""Stands for the index of proteins among the names of libraries."""


class SearchJob(NamedTuple):
    """A question to some of the engine's indexes: `PROTEINS` and names of libraries."""

    query: Query
    indexes: tuple[str, ...]
    top: int


class TracksJob(NamedTuple):
    """Property weights of a clean sequence for texts with their prefix."""

    sequence: str
    properties: Mapping[str, str]


def work(engine: SearchEngine, jobs: Sequence[SearchJob | TracksJob]) -> list[dict[str, Answer] | Float32[np.ndarray, "k L"]]:
    """The result of every job: answers by index, or weights. All queries are embedded, and all tracks computed, together."""
    results: list = [None] * len(jobs)
    searches = [place for place, job in enumerate(jobs) if isinstance(job, SearchJob)]
    for place, answers in zip(searches, _searched(engine, [jobs[place] for place in searches]), strict=True):
        results[place] = answers
    tracks = [place for place, job in enumerate(jobs) if isinstance(job, TracksJob)]
    if tracks:
        weights = engine.model.segments_batch([jobs[i].sequence for i in tracks], [jobs[i].properties for i in tracks])
        for place, rows in zip(tracks, weights, strict=True):
            results[place] = rows
    return results


def _searched(engine: SearchEngine, jobs: Sequence[SearchJob]) -> list[dict[str, Answer]]:
    answers: list[dict[str, Answer]] = [{} for _ in jobs]
    vectors = engine.embed([job.query for job in jobs]) if jobs else None
    for name, index in {PROTEINS: engine.proteins, **engine.libraries}.items():
        asking = [place for place, job in enumerate(jobs) if name in job.indexes]
        if asking and index is not None:
            found = engine.find(index, vectors[asking], max(jobs[place].top for place in asking))
            for place, answer in zip(asking, found, strict=True):
                answers[place][name] = Answer(answer.hits[: jobs[place].top], answer.mean, answer.sd, answer.background)
    return answers


def warm_up(engine: SearchEngine) -> None:
    """Computes requests of the usual shapes once, as each shape is compiled when it first occurs."""
    texts = [Query("", "text", ("PROTEIN NAME: protein " * words,)) for words in (4, 60)]
    proteins = [Query("", "protein", ("ACDEFGHIKLMNPQRSTVWY" * repeats,)) for repeats in (5, 20, 40)]
    if "text_projection" in engine.model.groups:
        for some in ([texts[0]], [texts[0]] * 8 + [texts[1]] * 8):
            engine.embed(some)
    for query in proteins:
        engine.embed([query])
    engine.embed([proteins[1]] * 16)
    if "prototype_bank" in engine.model.groups and "text" in engine.model.groups:
        for query in proteins[:2]:
            engine.model.segments_batch([query.contents[0]], [{"function": "FUNCTION: binds zinc"}])
