"""The background, decoys and q-values against loops over the definition."""

import numpy as np
import pytest

from data_pipelines.common.hashing import hash64
from protclip_jax.retrieval import scores
from protclip_jax.retrieval.nearest import unit_rows


def test_cosines_are_those_of_numpy():
    rng = np.random.default_rng(0)
    background, queries = unit_rows(rng.normal(size=(50, 6))), unit_rows(rng.normal(size=(3, 6)))
    expected = queries.astype(np.float64) @ background.astype(np.float64).T
    np.testing.assert_allclose(scores.cosines_with(queries, background), expected, atol=1e-6)
    assert scores.cosines_with(queries[:0], background).shape == (0, 50)


def test_the_background_are_the_same_items_in_any_order():
    ids = [f"P{number}" for number in range(3 * scores.BACKGROUND_ITEMS)]
    chosen = {ids[row] for row in scores.background_rows(map(hash64, ids))}
    backwards = {ids[::-1][row] for row in scores.background_rows(map(hash64, ids[::-1]))}
    assert chosen == backwards
    assert scores.background_rows([7, 3]).tolist() == [0, 1]


def test_a_shuffled_protein_keeps_its_residues():
    sequences = ["MKVLAAGIVGLLAQ" * 5, "ACDEFGHIKL" * 4]
    found = scores.shuffled(sequences)
    assert [sorted(one) for one in found] == [sorted(one) for one in sequences]
    assert all(one != other for one, other in zip(found, sequences, strict=True))
    assert found == scores.shuffled(sequences)


def reference_q(hits, background, decoys, items):
    def rate(t):
        reached = max(sum(h >= t for h in hits) / items, sum(b >= t for b in background) / len(background))
        return min(1.0, (sum(d >= t for d in decoys) + 1) / (len(decoys) + 1) / reached)

    thresholds = [*hits, *background]
    return [min(rate(t) for t in thresholds if t <= hit) for hit in hits]


@pytest.mark.parametrize("items", [60, 600])
def test_q_values_are_those_of_the_definition(items):
    rng = np.random.default_rng(items)
    everything = np.sort(rng.normal(0.3, 0.2, items))[::-1]
    hits, background = everything[:10], rng.choice(everything, 60, replace=False)
    decoys = rng.normal(0.1, 0.2, 40)
    found = scores.q_values(hits, background, decoys, items=items)
    np.testing.assert_allclose(found, reference_q(hits, background, decoys, items), rtol=1e-12)
    assert list(found) == sorted(found)


def test_hits_that_shuffled_proteins_reach_as_often_have_q_near_one():
    rng = np.random.default_rng(1)
    everything = np.sort(rng.normal(size=2000))[::-1]
    assert scores.q_values(everything[:10], everything, rng.normal(size=2000), items=2000).min() > 0.3
    far = scores.q_values(everything[:10] + 9, everything + 9, rng.normal(size=2000), items=2000)
    assert far.max() < 0.01
