"""Nearest neighbours by cosine among unit-norm vectors: exact, and approximate with exact
re-ranking.

The approximate index is FAISS' IVF-PQ (Jégou et al. 2011, Product Quantization for Nearest Neighbor
Search): vectors lie in lists by their nearest of some k-means centres, as residuals quantised to a
byte for every few dimensions. A query reads the `probes` nearest lists; the best
`CANDIDATES_PER_HIT`·k by the quantised scores are scored again with their full vectors, so that
every score is exact and only membership is approximate.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int64

from data_pipelines.common.errors import UserError
from protclip_jax.retrieval.faiss_library import load_faiss
from protclip_jax.retrieval.vector_parts import BLOCK_ROWS, VectorParts

EXACT_UP_TO = 200_000
"""Vectors; above it an index is approximate unless asked otherwise. Exact search of so many
takes tens of milliseconds."""
FEWEST_FOR_APPROXIMATE = 5_000
"""Below, product quantisation has too few vectors to learn from."""

TRAINING_PER_LIST = 40
"""FAISS wants at least 39 vectors for each k-means centre."""
DIMENSIONS_PER_BYTE = 4
PQ_TRAINING_PER_CENTRE, PQ_TRAINING_STEPS = 64, 10
CANDIDATES_PER_HIT, FEWEST_CANDIDATES = 20, 200
RECALL_AT = 10
SAME_SCORE = 1e-5
"""Cosines that differ by less are tied: float32 sums in another order."""


class Neighbours(NamedTuple):
    """The k best of each query, best first. Rows are −1 (and scores −inf) where fewer were
    found."""

    scores: Float32[np.ndarray, "q k"]
    rows: Int64[np.ndarray, "q k"]


class RecallPoint(NamedTuple):
    """What reading so many lists finds of the true 10 nearest, for each kind of query."""

    probes: int
    recall: dict[str, float]


class TuningQueries(NamedTuple):
    """Queries to measure recall with: `own_rows` are the rows that they are themselves, which do
    not count, or None."""

    vectors: Float32[np.ndarray, "q d"]
    own_rows: Int64[np.ndarray, " q"] | None


def exact_neighbours(
    vectors: VectorParts, queries: Float32[np.ndarray, "q d"], k: int
) -> Neighbours:
    """The k rows of highest cosine; ties go to the lower row."""
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
    """The k of the rows `among`, in ascending order, of highest cosine; reads `BLOCK_ROWS` of
    them at a time."""
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
    """The k best of the candidates that the index proposes, by their exact cosines."""
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
    """How many lists for so many vectors: a power of two near 4·√n, and no more than the
    training suffices for."""
    wanted = 1 << round(np.log2(4 * np.sqrt(count)))
    while wanted * TRAINING_PER_LIST > count:
        wanted //= 2
    return wanted


def build_approximate(vectors: VectorParts, *, seed: int = 0):
    """A FAISS IVF-PQ index over all rows, trained on a random sample of them; memory holds the
    sample and the codes.

    Raises:
      UserError: there are fewer than `FEWEST_FOR_APPROXIMATE`.
    """
    if len(vectors) < FEWEST_FOR_APPROXIMATE:
        raise UserError(
            f"an approximate index needs at least {FEWEST_FOR_APPROXIMATE:,} vectors to "
            "learn from, there are "
            f"{len(vectors):,}; leave --kind out."
        )
    faiss = load_faiss()
    lists = list_count(len(vectors))
    # The smallest sub-vectors of at least DIMENSIONS_PER_BYTE dimensions into which d divides.
    dimensions = next(
        size for size in range(DIMENSIONS_PER_BYTE, vectors.width + 1) if vectors.width % size == 0
    )
    index = faiss.index_factory(
        vectors.width, f"IVF{lists},PQ{vectors.width // dimensions}", faiss.METRIC_INNER_PRODUCT
    )
    # Fewer than FAISS takes by default: as exact as with four times as many, since candidates are
    # scored again.
    index.pq.cp.max_points_per_centroid = PQ_TRAINING_PER_CENTRE
    index.pq.cp.min_points_per_centroid = FEWEST_FOR_APPROXIMATE // index.pq.ksub
    index.pq.cp.niter = PQ_TRAINING_STEPS
    # An order of the codes for comparing them by their bits, which search does not do; it takes
    # most of the training.
    index.do_polysemous_training = False
    rows = np.random.default_rng(seed).choice(
        len(vectors), min(len(vectors), lists * TRAINING_PER_LIST), replace=False
    )
    index.train(vectors.take(np.sort(rows)))
    add_rows(index, vectors)
    return index


def add_rows(index, vectors: VectorParts) -> None:
    """Adds the rows that the index does not hold yet."""
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
    """Recall@k of every kind of query at 1, 2, 4, … probes, up to the first that reaches the target
    for all, or all lists.

    A neighbour that is found counts if its cosine reaches that of the k-th nearest: which of
    several equal ones is found does not matter.
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
    """The first k of k + 1 neighbours without the query itself."""
    if queries.own_rows is None:
        return Neighbours(found.scores[:, :k], found.rows[:, :k])
    own = found.rows == queries.own_rows[:, None]
    return _best(np.where(own, -np.inf, found.scores), np.where(own, -1, found.rows), k)


def recall_at(found: Neighbours, exact: Neighbours) -> float:
    """The share of the exact neighbours' places that are filled by items which are as near."""
    reached = found.scores >= exact.scores[:, -1:] - SAME_SCORE
    return float(reached.sum(axis=1).clip(max=exact.scores.shape[1]).mean() / exact.scores.shape[1])


def sample_rows(count: int, size: int, *, seed: int = 1) -> Int64[np.ndarray, " m"]:
    """Up to `size` different rows, in their order."""
    return np.sort(np.random.default_rng(seed).choice(count, min(count, size), replace=False))


def unit_rows(vectors: Sequence | np.ndarray) -> Float32[np.ndarray, "n d"]:
    """Rows scaled to norm 1.

    Raises:
      UserError: a row has no direction: it is zero or not finite.
    """
    vectors = np.asarray(vectors, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    if not (np.isfinite(norms).all() and (norms > 0).all()):
        raise UserError(
            "an embedding is zero or not finite; make the embeddings anew with --precision float32."
        )
    return vectors / norms
