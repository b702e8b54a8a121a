"""Nearest neighbours of unit-norm vectors by cosine: exact, or approximate and re-ranked exactly.

The approximate index is FAISS IVF-PQ (Jégou et al. 2011, Product Quantization for Nearest Neighbor
Search). Each vector belongs to the list of its nearest k-means centre; its residual is quantised to
one byte per few dimensions. A query reads the `probes` nearest lists. The best
`CANDIDATES_PER_HIT`·k candidates by quantised score are re-ranked with their full vectors, so every
score is exact and only membership in the result is approximate.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.vector_parts import BLOCK_ROWS, VectorParts

EXACT_UP_TO = 200_000
"""Number of vectors above which an index is approximate by default.

Exact search of this many vectors takes tens of milliseconds.
"""
FEWEST_FOR_APPROXIMATE = 5_000
"""Minimum number of vectors for training product quantisation."""

TRAINING_PER_LIST = 40
"""FAISS recommends at least 39 training vectors per k-means centre."""
DIMENSIONS_PER_BYTE = 4
PQ_TRAINING_PER_CENTRE, PQ_TRAINING_STEPS = 64, 10
CANDIDATES_PER_HIT, FEWEST_CANDIDATES = 20, 200
RECALL_AT = 10
SAME_SCORE = 1e-5
"""Cosines that differ by less are ties: the order of float32 summation changes them this much."""


class Neighbours(NamedTuple):
    """The k nearest items of each query, best first; row −1 and score −inf if fewer were found."""

    scores: Float32[np.ndarray, "q k"]
    rows: Int64[np.ndarray, "q k"]


class RecallPoint(NamedTuple):
    """Recall of the 10 nearest items when `probes` lists are read, for each kind of query."""

    probes: int
    recall: dict[str, float]


class TuningQueries(NamedTuple):
    """Queries for measuring recall.

    If the queries are items of the index, `own_rows` has their rows, which do not count as hits.
    """

    vectors: Float32[np.ndarray, "q d"]
    own_rows: Int64[np.ndarray, " q"] | None


def exact_neighbours(
    vectors: VectorParts, queries: Float32[np.ndarray, "q d"], k: int
) -> Neighbours:
    """Finds the k rows with the highest cosine; ties go to the lower row."""
    faiss = load_faiss(queries=len(queries))
    found = []
    for start, part in vectors.numbered_parts():
        scores, rows = faiss.knn(
            queries, part, min(k, len(part)), metric=faiss.METRIC_INNER_PRODUCT
        )
        found.append((scores, rows + start))
    scores, rows = (np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True))
    return _best(scores, rows, k)


def exact_neighbours_among(
    vectors: VectorParts,
    queries: Float32[np.ndarray, "q d"],
    k: int,
    among: Int64[np.ndarray, " m"],
) -> Neighbours:
    """Finds the k rows with the highest cosine among the rows `among`, which are ascending.

    Reads `BLOCK_ROWS` vectors at a time.
    """
    faiss = load_faiss(queries=len(queries))
    found = []
    for start in range(0, len(among), BLOCK_ROWS):
        some = among[start : start + BLOCK_ROWS]
        scores, places = faiss.knn(
            queries, vectors.take(some), min(k, len(some)), metric=faiss.METRIC_INNER_PRODUCT
        )
        found.append((scores, some[places]))
    scores, rows = (np.concatenate(arrays, axis=1) for arrays in zip(*found, strict=True))
    return _best(scores, rows, k)


def approximate_neighbours(
    index, vectors: VectorParts, queries: Float32[np.ndarray, "q d"], k: int, *, probes: int
) -> Neighbours:
    """Ranks the candidates of the approximate index by exact cosine; returns the k best."""
    faiss = load_faiss(queries=len(queries))
    candidates = min(len(vectors), max(FEWEST_CANDIDATES, CANDIDATES_PER_HIT * k))
    _, rows = index.search(queries, candidates, params=faiss.SearchParametersIVF(nprobe=probes))
    scores = np.full(rows.shape, -np.inf, np.float32)
    for query, proposed, row_scores in zip(queries, rows, scores, strict=True):
        there = proposed >= 0
        row_scores[there] = vectors.take(proposed[there]) @ query
    return _best(scores, rows, k)


def _best(scores: np.ndarray, rows: np.ndarray, k: int) -> Neighbours:
    order = np.lexsort((rows, -scores), axis=1)[:, :k]
    return Neighbours(np.take_along_axis(scores, order, 1), np.take_along_axis(rows, order, 1))


def list_count(count: int) -> int:
    """The number of lists for n vectors: a power of two near 4·√n, limited by the training size."""
    wanted = 1 << round(np.log2(4 * np.sqrt(count)))
    while wanted * TRAINING_PER_LIST > count:
        wanted //= 2
    return wanted


def build_approximate(vectors: VectorParts, *, seed: int = 0):
    """Builds a FAISS IVF-PQ index over all rows, trained on a random sample of them.

    Memory holds only the sample and the codes.

    Raises:
      UserError: there are fewer than `FEWEST_FOR_APPROXIMATE` vectors.
    """
    if len(vectors) < FEWEST_FOR_APPROXIMATE:
        raise UserError(
            f"an approximate index needs at least {FEWEST_FOR_APPROXIMATE:,} vectors for training, "
            f"but there are {len(vectors):,}; omit --kind."
        )
    faiss = load_faiss()
    lists = list_count(len(vectors))
    # Width of the sub-vectors: the smallest divisor of d that is at least DIMENSIONS_PER_BYTE.
    dimensions = next(
        size for size in range(DIMENSIONS_PER_BYTE, vectors.width + 1) if vectors.width % size == 0
    )
    index = faiss.index_factory(
        vectors.width, f"IVF{lists},PQ{vectors.width // dimensions}", faiss.METRIC_INNER_PRODUCT
    )
    # Fewer training vectors than the FAISS default. Four times as many give no better results,
    # because candidates are re-ranked exactly.
    index.pq.cp.max_points_per_centroid = PQ_TRAINING_PER_CENTRE
    index.pq.cp.min_points_per_centroid = FEWEST_FOR_APPROXIMATE // index.pq.ksub
    index.pq.cp.niter = PQ_TRAINING_STEPS
    # Polysemous training prepares codes for Hamming comparison, which search does not use, and
    # takes most of the training time.
    index.do_polysemous_training = False
    rows = np.random.default_rng(seed).choice(
        len(vectors), min(len(vectors), lists * TRAINING_PER_LIST), replace=False
    )
    index.train(vectors.take(np.sort(rows)))
    add_rows(index, vectors)
    return index


def add_rows(index, vectors: VectorParts) -> None:
    """Adds the rows from `index.ntotal` on, which the index does not have yet."""
    load_faiss()
    for block in vectors.blocks(start=index.ntotal):
        index.add(np.ascontiguousarray(block))


def recall_curve(
    index,
    vectors: VectorParts,
    queries: dict[str, TuningQueries],
    *,
    target: float,
    k: int = RECALL_AT,
) -> list[RecallPoint]:
    """Measures recall@k of every kind of query at 1, 2, 4, … probes.

    Stops when all kinds reach the target, or when all lists are read. A neighbour counts as found
    if its cosine reaches that of the k-th nearest item, so ties are interchangeable.
    """
    exact = {
        name: others(exact_neighbours(vectors, some.vectors, k + 1), some, k)
        for name, some in queries.items()
    }
    curve, probes = [], 1
    while True:
        recall = {
            name: recall_at(
                others(
                    approximate_neighbours(index, vectors, some.vectors, k + 1, probes=probes),
                    some,
                    k,
                ),
                exact[name],
            )
            for name, some in queries.items()
        }
        curve.append(RecallPoint(probes, recall))
        if min(recall.values()) >= target or probes >= index.nlist:
            return curve
        probes = min(2 * probes, index.nlist)


def others(found: Neighbours, queries: TuningQueries, k: int) -> Neighbours:
    """The first k of k + 1 neighbours, excluding the query itself."""
    if queries.own_rows is None:
        return Neighbours(found.scores[:, :k], found.rows[:, :k])
    own = found.rows == queries.own_rows[:, None]
    return _best(np.where(own, -np.inf, found.scores), np.where(own, -1, found.rows), k)


def recall_at(found: Neighbours, exact: Neighbours) -> float:
    """The fraction of the k exact neighbours that are matched by neighbours at least as near."""
    reached = found.scores >= exact.scores[:, -1:] - SAME_SCORE
    return float(reached.sum(axis=1).clip(max=exact.scores.shape[1]).mean() / exact.scores.shape[1])


def sample_rows(count: int, size: int, *, seed: int = 1) -> Int64[np.ndarray, " m"]:
    """Draws up to `size` distinct rows, ascending."""
    return np.sort(np.random.default_rng(seed).choice(count, min(count, size), replace=False))


def unit_rows(vectors: Sequence | np.ndarray) -> Float32[np.ndarray, "n d"]:
    """Scales rows to norm 1.

    Raises:
      UserError: a row is zero or not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise UserError(
            "an embedding is zero or not finite; recreate the embeddings with --precision float32."
        )
    return vectors / norms
