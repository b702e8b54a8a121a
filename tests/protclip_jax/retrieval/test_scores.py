"""The background, decoys and q-values: against loops over the definition, and where there is
nothing to find."""

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
    assert list(map(sorted, found)) == list(map(sorted, sequences))
    assert all(one != other for one, other in zip(found, sequences, strict=True))
    assert found == scores.shuffled(sequences)


def reference_q(hits, decoys, items):
    ranked = sorted(decoys, reverse=True)
    tail = max(20, len(ranked) // 10)
    start = ranked[tail]
    excess = sum(decoy - start for decoy in ranked[:tail]) / tail

    def share(t):
        if t <= start:
            return (sum(d >= t for d in decoys) + 1) / (len(decoys) + 1)
        return (
            (sum(d >= start for d in decoys) + 1)
            / (len(decoys) + 1)
            * np.exp(-(t - start) / excess)
        )

    rates = [items * share(hit) / rank for rank, hit in enumerate(hits, 1)]
    return [min(1.0, *rates[place:], rates[place]) for place in range(len(hits))]


@pytest.mark.parametrize("items", [60, 600])
def test_q_values_are_those_of_the_definition(items):
    rng = np.random.default_rng(items)
    hits = np.sort(rng.normal(0.3, 0.2, items))[::-1][:30]
    decoys = rng.normal(0.1, 0.2, 300)
    found = scores.q_values(hits, decoys, items=items)
    np.testing.assert_allclose(found, reference_q(hits, decoys, items), rtol=1e-12)
    assert list(found) == sorted(found)


@pytest.mark.parametrize("draw", ["exponential", "normal"])
@pytest.mark.parametrize("items", [24, 4526, 100_000])
def test_with_nothing_to_find_q_of_the_best_hit_is_below_a_half_at_most_half_the_time(items, draw):
    rng = np.random.default_rng(items)
    called = []
    for _ in range(100):
        cosines, decoys = (
            getattr(rng, draw)(size=size) for size in (items, min(items, scores.DECOYS))
        )
        hits = np.sort(np.partition(cosines, -10)[-10:])[::-1]
        called.append(scores.q_values(hits, decoys, items=items)[0] <= 0.5)
    # Three standard errors of a share of 100.
    assert np.mean(called) <= 0.5 + 0.15


def test_hits_far_above_shuffled_proteins_have_q_near_zero_whatever_the_decoys():
    rng = np.random.default_rng(1)
    everything = np.sort(rng.normal(size=2000))[::-1]
    assert scores.q_values(everything[:10] + 9, rng.normal(size=2000), items=2000).max() < 0.01
    assert scores.q_values(np.array([0.9, 0.1]), np.full(50, 0.5), items=2).tolist() == [0.0, 1.0]
    assert scores.q_values(np.array([0.9]), np.array([0.5]), items=1).tolist() == [1.0]


def test_a_hit_among_fewer_items_has_a_smaller_q():
    rng = np.random.default_rng(2)
    decoys, hits = rng.normal(size=500), np.array([6.0])
    whole, some = (scores.q_values(hits, decoys, items=items) for items in (400, 40))
    np.testing.assert_allclose(some, whole / 10)
