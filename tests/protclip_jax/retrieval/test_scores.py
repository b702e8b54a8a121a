"""The background and z against NumPy."""

import numpy as np

from data_pipelines.common.hashing import hash64
from protclip_jax.retrieval import scores
from protclip_jax.retrieval.nearest import unit_rows


def test_z_is_measured_against_mean_and_deviation_of_the_background():
    rng = np.random.default_rng(0)
    background, queries = unit_rows(rng.normal(size=(50, 6))), unit_rows(rng.normal(size=(3, 6)))
    means, sds = scores.background_statistics(queries, background)
    cosines = queries.astype(np.float64) @ background.astype(np.float64).T
    np.testing.assert_allclose(means, cosines.mean(1), atol=1e-7)
    np.testing.assert_allclose(sds, np.sqrt(((cosines - cosines.mean(1, keepdims=True)) ** 2).mean(1)), atol=1e-7)


def test_a_background_of_one_item_gives_finite_scores():
    _, sds = scores.background_statistics(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32))
    assert sds[0] > 0


def test_the_background_are_the_same_items_in_any_order():
    ids = [f"P{number}" for number in range(5000)]
    chosen = {ids[row] for row in scores.background_rows(map(hash64, ids))}
    backwards = {ids[::-1][row] for row in scores.background_rows(map(hash64, ids[::-1]))}
    assert chosen == backwards == set(sorted(ids, key=hash64)[: scores.BACKGROUND_ITEMS])
    assert scores.background_rows([7, 3]).tolist() == [0, 1]
