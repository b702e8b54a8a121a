"""Answers many queries, each for every aspect: proteins, and each library of labels."""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError, one_line
from data_pipelines.common.progress import print_status
from protclip_jax.retrieval.answer import Answer, Hit, is_confident, not_known
from protclip_jax.retrieval.engine import PROTEINS, QUERIES_AT_ONCE, SearchEngine
from protclip_jax.retrieval.query import Query
from protclip_jax.retrieval.taxa import rows_of_taxa


class Reply(NamedTuple):
    """The answer to a query from one aspect (`SearchEngine.aspects`)."""

    query: Query
    aspect: str
    answer: Answer


def replies(
    engine: SearchEngine, queries: Iterator[Query], *, top: int, taxa: Sequence[str] | None = None
) -> Iterator[Reply]:
    """Yields the replies to all queries, in their order.

    A query without any word of the model's vocabulary is only looked up, and skipped if the look-up
    finds nothing.

    Args:
      top: maximum number of hits per aspect.
      taxa: restricts the proteins to these organisms (`rows_of_taxa`).

    Raises:
      UserError: no query can be answered.
    """
    among = dict.fromkeys(engine.aspects)
    if taxa:
        proteins = engine.proteins
        among[PROTEINS] = rows_of_taxa(proteins.items, taxa, folder=proteins.folder)
    count = 0
    while some := list(itertools.islice(queries, QUERIES_AT_ONCE)):
        for reply in _replies_to(engine, some, top=top, among=among):
            count += 1
            yield reply
    if not count:
        raise UserError("no query has a word of the model's vocabulary; rephrase the queries.")


def _replies_to(
    engine: SearchEngine,
    queries: Sequence[Query],
    *,
    top: int,
    among: Mapping[str, np.ndarray | None],
) -> Iterator[Reply]:
    look_up = functools.partial(_matches, engine, top=top, among=among)
    matches = list(map(look_up, queries))
    readable = list(map(functools.partial(_is_readable, engine), queries, matches))
    chosen = list(itertools.compress(queries, readable))
    vectors = engine.embed(chosen)
    found = {
        aspect: iter(engine.answers(index, chosen, vectors, top, among=among[aspect]))
        for aspect, index in engine.aspects.items()
        if chosen
    }
    for query, own, is_readable in zip(queries, matches, readable, strict=True):
        for aspect in engine.aspects:
            if is_readable or own[aspect]:
                answer = next(found[aspect]) if is_readable else Answer([])
                yield Reply(query, aspect, dataclasses.replace(answer, matches=own[aspect]))


def _matches(
    engine: SearchEngine,
    query: Query,
    *,
    top: int,
    among: Mapping[str, np.ndarray | None],
) -> dict[str, list[Hit]]:
    """The items of each aspect that the query names."""
    return {
        aspect: engine.matches(index, query, top, among=among[aspect])
        for aspect, index in engine.aspects.items()
    }


def _is_readable(engine: SearchEngine, query: Query, matches: Mapping[str, Sequence[Hit]]) -> bool:
    """Whether the vocabulary has any word of a query; prints the unknown words to stderr."""
    if query.kind == "protein":
        return True
    try:
        unknown = engine.unknown_words(query.contents)
    except UserError as error:
        done = "was only looked up" if any(matches.values()) else "was skipped"
        print_status(one_line(f"{query.name} {done}: {error}"))
        return False
    if unknown:
        print_status(
            one_line(f"{query.name}: not in the model's vocabulary: {', '.join(unknown[:10])}.")
        )
    return True


def with_summary(found: Iterable[Reply], least: float) -> Iterator[Reply]:
    """Passes the replies on; after the last, prints to stderr how many are not confident."""
    outcomes, unknown = Counter(), {}
    for reply in found:
        is_sure = is_confident(reply.answer, least)
        outcomes[is_sure] += 1
        if is_sure is None and reply.answer.hits:
            unknown[not_known(reply.answer)] = True
        yield reply
    if outcomes[False]:
        print_status(
            f"no confident answer for {outcomes[False]:,} of {outcomes.total():,} "
            f"(--min_confidence {least:g})."
        )
    print_status(*unknown)
