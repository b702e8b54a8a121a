"""Nearest neighbours against float64 NumPy, and the approximate index's recall on clustered
vectors."""

import numpy as np
import pytest

from benchmarks.clustered_vectors import clustered_vectors
from data_pipelines.common.errors import UserError
from protclip_jax.retrieval import nearest
from protclip_jax.retrieval.nearest import TuningQueries
from protclip_jax.retrieval.vector_parts import VectorParts
from tests.support.searching import reference_order


def split(vectors, *ends):
    return VectorParts(np.split(vectors, ends))


@pytest.mark.parametrize("ends", [(), (1,), (40, 41, 300)])
def test_exact_search_is_that_of_numpy_whatever_the_parts(ends):
    rng = np.random.default_rng(0)
    vectors = nearest.unit_rows(rng.normal(size=(400, 12)))
    vectors[399] = vectors[3]
    queries = np.concatenate([nearest.unit_rows(rng.normal(size=(5, 12))), vectors[3:4]])
    found = nearest.exact_neighbours(split(vectors, *ends), queries, 20)
    for query, scores, rows in zip(queries, found.scores, found.rows, strict=True):
        np.testing.assert_array_equal(rows, reference_order(vectors, query)[:20])
        np.testing.assert_allclose(scores, vectors[rows].astype(float) @ query, atol=1e-6)
    assert found.rows[5, :2].tolist() == [3, 399], "equal cosines: the lower row first"


def test_more_hits_than_items_are_all_of_them():
    vectors = nearest.unit_rows(np.eye(3))
    found = nearest.exact_neighbours(split(vectors, 1), vectors[:1], 10)
    assert found.rows.tolist() == [[0, 1, 2]]


def test_rows_are_taken_from_the_parts_they_lie_in():
    vectors = np.arange(60, dtype=np.float32).reshape(20, 3)
    parts = split(vectors, 3, 4, 15)
    rows = np.array([19, 0, 3, 14, 15, 3])
    np.testing.assert_array_equal(parts.take(rows), vectors[rows])
    assert (len(parts), parts.width) == (20, 3)
    for start in (0, 3, 9, 20):
        blocks = [np.zeros((0, 3), np.float32), *parts.blocks(start=start)]
        np.testing.assert_array_equal(np.concatenate(blocks), vectors[start:])


@pytest.fixture(scope="module")
def clustered():
    return clustered_vectors(100_000, width=64, centres=20_000, intrinsic=32)


@pytest.fixture(scope="module")
def approximate(clustered):
    return nearest.build_approximate(split(clustered, 30_000))


def test_recall_of_100_000_clustered_vectors_reaches_the_target(clustered, approximate):
    parts = split(clustered, 30_000)
    rows = nearest.sample_rows(len(parts), 100)
    curve = nearest.recall_curve(
        approximate, parts, {"items": TuningQueries(clustered[rows], rows)}, target=0.95
    )
    assert curve[-1].recall["items"] >= 0.95
    assert curve[-1].probes <= approximate.nlist / 8, "a search reads a small part of the lists"
    recalls = [point.recall["items"] for point in curve]
    assert recalls == sorted(recalls)
    assert recalls[0] < 0.95
    # The stated recall is that of a count by NumPy, which knows nothing of FAISS.
    found = nearest.approximate_neighbours(
        approximate, parts, clustered[rows], 11, probes=curve[-1].probes
    )
    hits = []
    cosines = clustered[rows].astype(np.float64) @ clustered.astype(np.float64).T
    for row, of_row, others in zip(rows, cosines, found.rows, strict=True):
        truth = [other for other in np.argsort(-of_row)[:12] if other != row][:10]
        hits.append(len(set(truth) & set(others.tolist())) / 10)
    assert abs(np.mean(hits) - curve[-1].recall["items"]) < 0.005


def test_scores_of_approximate_hits_are_exact_and_in_order(clustered, approximate):
    queries = clustered[[5, 70_000]]
    found = nearest.approximate_neighbours(
        approximate, split(clustered, 30_000), queries, 10, probes=8
    )
    for query, scores, rows in zip(queries, found.scores, found.rows, strict=True):
        np.testing.assert_allclose(scores, clustered[rows].astype(float) @ query, atol=1e-6)
        assert (np.diff(scores) <= 0).all()
    assert found.rows[:, 0].tolist() == [5, 70_000]


def test_reading_every_list_finds_nearly_everything(clustered, approximate):
    parts = VectorParts([clustered])
    exact = nearest.exact_neighbours(parts, clustered[:20], 10)
    found = nearest.approximate_neighbours(
        approximate, parts, clustered[:20], 10, probes=approximate.nlist
    )
    assert nearest.recall_at(found, exact) >= 0.99


def test_recall_does_not_count_the_query_itself():
    vectors = VectorParts([nearest.unit_rows(np.random.default_rng(1).normal(size=(50, 8)))])
    rows = np.array([4, 9])
    some = TuningQueries(vectors.take(rows), rows)
    without = nearest.others(nearest.exact_neighbours(vectors, some.vectors, 6), some, 5)
    for row, found in zip(rows, without.rows, strict=True):
        expected = [
            other
            for other in reference_order(vectors.parts[0], vectors.parts[0][row])
            if other != row
        ][:5]
        np.testing.assert_array_equal(found, expected)
    nothing = nearest.Neighbours(np.full((2, 5), -1, np.float32), np.full((2, 5), -1))
    assert nearest.recall_at(without, without) == 1
    assert nearest.recall_at(nothing, without) == 0


def test_too_few_vectors_for_an_approximate_index_are_reported():
    with pytest.raises(UserError, match="at least 5,000 vectors"):
        nearest.build_approximate(VectorParts([np.eye(16, dtype=np.float32)]))


@pytest.mark.parametrize("bad", [0, np.nan, np.inf])
def test_vectors_without_a_direction_are_refused(bad):
    with pytest.raises(UserError, match="zero or not finite"):
        nearest.unit_rows([[1.0, 2.0], [bad, bad]])


@pytest.mark.parametrize("count", [5_000, 100_000, 1_000_000, 10_000_000])
def test_lists_are_a_power_of_two_near_four_roots_and_can_be_trained(count):
    lists = nearest.list_count(count)
    assert lists & (lists - 1) == 0
    assert lists * nearest.TRAINING_PER_LIST <= count
    assert lists <= 4 * np.sqrt(count) * 1.5
