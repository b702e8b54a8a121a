"""Holds out heads of a knowledge graph, builds queries for them, and ranks the answers.

A query is a head with a relation; it ranks all nodes of the other type as its tails. A head may
have many tails, so ranks are counted in three ways. `filtered`: each tail is ranked among the nodes
that are not tails of the head, as in knowledge-graph completion (Bordes et al., NIPS 2013).
`unfiltered`: each tail is ranked among all nodes, including the head's other tails. `first`: only
the best-ranked tail of each query counts, as in retrieval. Ties count as their expectation under
random order.

BioBridge's released evaluation ranks all candidates by cosine without a filter, keeps only tails
with at least 50 triplets of the relation, and prints precision and recall; it does not show how the
paper's MRR was counted.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from eval.metrics import best_hit, every_hit
from eval.metrics.ranking import TIE

FIT, VALID, TEST = range(3)
SCORES_AT_ONCE = 2**24


def hold_out(
    triplets: Int[np.ndarray, "N 3"],
    types: Int[np.ndarray, " nodes"],
    *,
    head_types: list[int],
    share: float,
    seed: int,
) -> Int[np.ndarray, " nodes"]:
    """Assigns FIT, VALID or TEST: `share` of the heads of these types test, as many validate.

    Heads of other types are not held out: all their nodes are FIT.
    """
    rng = np.random.default_rng(seed)
    roles = np.full(len(types), FIT)
    heads = np.unique(triplets[:, 0])
    for kind in head_types:
        own = rng.permutation(heads[types[heads] == kind])
        count = int(share * len(own))
        roles[own[:count]], roles[own[count : 2 * count]] = TEST, VALID
    return roles


def training_triplets(
    triplets: Int[np.ndarray, "N 3"], roles: Int[np.ndarray, " nodes"], *, reverse: str
) -> Int[np.ndarray, "M 3"]:
    """The triplets of FIT heads; with `reverse="removed"` those whose tails are FIT too.

    A graph holds each relation in both directions, so "kept", BioBridge's way, trains on the
    reverse of the queries.
    """
    fit = roles[triplets[:, 0]] == FIT
    if reverse == "removed":
        fit &= roles[triplets[:, 2]] == FIT
    return triplets[fit]


class Queries(NamedTuple):
    """Q heads whose tails of one relation are queried."""

    relation: int
    heads: Int[np.ndarray, " Q"]
    candidates: Int[np.ndarray, " M"]
    """Nodes of the tails' type, ascending."""
    hits: Bool[np.ndarray, "Q M"]
    """Every row has at least one."""


def make_queries(
    triplets: Int[np.ndarray, "N 3"],
    held_out: Bool[np.ndarray, " nodes"],
    candidates: Int[np.ndarray, " M"],
    *,
    relation: int,
    min_triplets: int = 0,
) -> Queries:
    """The queries of held-out heads that have a tail among the candidates by the relation.

    Args:
      triplets: all known triplets of any part: a tail of a head in any part is a hit.
      candidates: ascending nodes; those with fewer than `min_triplets` triplets of the relation are
      left out.
    """
    own = triplets[(triplets[:, 1] == relation) & np.isin(triplets[:, 2], candidates)]
    counts = np.bincount(own[:, 2], minlength=len(held_out))
    candidates = candidates[counts[candidates] >= min_triplets]
    own = own[held_out[own[:, 0]] & (counts[own[:, 2]] >= min_triplets)]
    heads = np.unique(own[:, 0])
    hits = np.zeros((len(heads), len(candidates)), bool)
    hits[np.searchsorted(heads, own[:, 0]), np.searchsorted(candidates, own[:, 2])] = True
    return Queries(relation, heads, candidates, hits)


class Ranks(NamedTuple):
    """How many wrong candidates rank above a hit or tie with it, for each way of counting."""

    heads: Int[np.ndarray, " H"]
    """Of every hit."""
    filtered: Int[np.ndarray, "2 H"]
    unfiltered: Int[np.ndarray, "2 H"]
    first: Int[np.ndarray, "2 Q"]


def rank(scores: Float[np.ndarray, "Q M"], queries: Queries) -> Ranks:
    """Ranks the tails by their scores."""
    rows = max(1, SCORES_AT_ONCE // max(1, scores.shape[1]))
    chunks = [slice(start, start + rows) for start in range(0, len(scores), rows)]

    def joined(count: Callable) -> Int[np.ndarray, "2 N"]:
        parts = [count(scores[chunk], queries.hits[chunk]) for chunk in chunks]
        return np.concatenate([np.zeros((2, 0), int), *parts], axis=1)

    filtered, among, first = map(joined, (every_hit, among_hits, best_hit))
    return Ranks(queries.heads[queries.hits.nonzero()[0]], filtered, filtered + among, first)


def among_hits(
    scores: Float[np.ndarray, "Q M"], hits: Bool[np.ndarray, "Q M"]
) -> tuple[Int[np.ndarray, " H"], Int[np.ndarray, " H"]]:
    """For each hit, row by row, how many other hits of its row score above it or tie with it."""
    above, tied = [], []
    for row, hit in zip(scores, hits, strict=True):
        own = row[hit]
        ordered = np.sort(own)
        higher = own.size - np.searchsorted(ordered, own + TIE, side="right")
        above.append(higher)
        tied.append(own.size - np.searchsorted(ordered, own - TIE, side="left") - higher - 1)
    return np.concatenate(above), np.concatenate(tied)


def join(ranks: list[Ranks]) -> Ranks:
    """Joins the ranks of several relations."""
    return Ranks(*(np.concatenate(arrays, axis=-1) for arrays in zip(*ranks, strict=True)))


def of_frequency(queries: Queries, fit: Int[np.ndarray, "N 3"]) -> Ranks:
    """The ranks of a baseline that scores candidates by their number of training triplets."""
    own = fit[fit[:, 1] == queries.relation, 2]
    counts = np.bincount(own, minlength=queries.candidates.max(initial=0) + 1)[queries.candidates]
    return rank(np.broadcast_to(counts.astype(float), queries.hits.shape), queries)


def of_chance(queries: Queries) -> Ranks:
    """The ranks of a random order."""
    return rank(np.zeros(queries.hits.shape), queries)
