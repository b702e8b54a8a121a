import itertools

import numpy as np
import pytest

from eval.benchmarks.cross_modal.tail_queries import (
    FIT,
    TEST,
    VALID,
    Queries,
    hold_out,
    join,
    make_queries,
    of_chance,
    of_frequency,
    rank,
    training_triplets,
)
from eval.metrics import mean_reciprocal_rank
from eval.metrics.ranking import reciprocal_rank

TYPES = np.array([0] * 40 + [1] * 30)


@pytest.fixture(scope="module")
def triplets():
    """Both directions of two relations between types 0 and 1, without repetition."""
    rng = np.random.default_rng(0)
    one = np.unique(
        np.stack(
            [rng.integers(40, size=150), rng.integers(2, size=150), rng.integers(40, 70, 150)], 1
        ),
        axis=0,
    )
    return np.concatenate([one, one[:, ::-1]])


def expected_reciprocal_ranks(scores, hits, *, count):
    """Of every hit (of the best alone for `first`) the mean of 1/rank over all orders that the
    scores allow, by enumeration."""

    def allowed(order):
        return all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))

    means = []
    for hit in np.flatnonzero(hits):
        rivals = [
            position
            for position in range(len(scores))
            if position == hit or count == "unfiltered" or not hits[position]
        ]
        orders = list(filter(allowed, itertools.permutations(rivals)))
        means.append(np.mean([1 / (1 + order.index(hit)) for order in orders]))
    return [max(means)] if count == "first" else means


@pytest.mark.parametrize("count", ["filtered", "unfiltered", "first"])
def test_ranks_are_expectations_over_the_orders_of_ties(count):
    rng = np.random.default_rng(0)
    scores = rng.integers(3, size=(12, 6)) / 2.0
    hits = rng.random((12, 6)) < 0.4
    hits[:, 0] |= ~hits.any(1)
    ranks = rank(scores, Queries(0, np.arange(12), np.arange(6), hits))
    expected = [
        value
        for row, own in zip(scores, hits, strict=True)
        for value in expected_reciprocal_ranks(row, own, count=count)
    ]
    np.testing.assert_allclose(reciprocal_rank(*getattr(ranks, count)), expected)
    np.testing.assert_array_equal(ranks.heads, np.repeat(np.arange(12), hits.sum(1)))


def test_chunks_do_not_change_ranks(monkeypatch, triplets):
    queries = make_queries(triplets, np.arange(70) < 20, np.arange(40, 70), relation=0)
    scores = np.random.default_rng(0).normal(size=queries.hits.shape)
    whole = rank(scores, queries)
    monkeypatch.setattr("eval.benchmarks.cross_modal.tail_queries.SCORES_AT_ONCE", 64)
    for one, other in zip(whole, rank(scores, queries), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(join([whole, whole]).filtered, np.tile(whole.filtered, 2))


def test_a_share_of_the_heads_of_each_asked_type_is_held_out(triplets):
    roles = hold_out(triplets, TYPES, head_types=[0], share=0.2, seed=0)
    heads = np.unique(triplets[TYPES[triplets[:, 0]] == 0, 0])
    for role in (VALID, TEST):
        assert (roles == role).sum() == int(0.2 * len(heads))
        assert set(np.flatnonzero(roles == role)) <= set(heads)
    assert not np.array_equal(roles, hold_out(triplets, TYPES, head_types=[0], share=0.2, seed=1))
    np.testing.assert_array_equal(
        roles, hold_out(triplets, TYPES, head_types=[0], share=0.2, seed=0)
    )


def test_training_sees_held_out_heads_only_in_reverse_and_only_if_kept(triplets):
    roles = hold_out(triplets, TYPES, head_types=[0], share=0.2, seed=0)
    removed, kept = (
        training_triplets(triplets, roles, reverse=reverse) for reverse in ("removed", "kept")
    )
    assert (roles[removed[:, [0, 2]]] == FIT).all()
    assert (roles[kept[:, 0]] == FIT).all()
    assert (roles[kept[:, 2]] != FIT).any()
    touched = (roles[triplets[:, [0, 2]]] != FIT).any(1)
    assert len(removed) == (~touched).sum()


def test_queries_hold_every_known_tail(triplets):
    asked, candidates = np.arange(70) % 3 == 0, np.arange(40, 70)
    queries = make_queries(triplets, asked, candidates, relation=1)
    known = {(h, t) for h, r, t in triplets.tolist() if r == 1 and h in range(0, 40, 3)}
    found = {
        (queries.heads[row], queries.candidates[column])
        for row, column in zip(*queries.hits.nonzero(), strict=True)
    }
    assert found == known
    assert queries.hits.any(1).all()


def test_rare_tails_are_no_candidates(triplets):
    asked, candidates = np.arange(70) < 40, np.arange(40, 70)
    queries = make_queries(triplets, asked, candidates, relation=0, min_triplets=3)
    counts = np.bincount(triplets[(triplets[:, 1] == 0) & (triplets[:, 2] >= 40), 2], minlength=70)
    np.testing.assert_array_equal(queries.candidates, np.flatnonzero(counts >= 3))
    assert 0 < len(queries.candidates) < 30
    assert queries.hits.any(1).all()


def test_chance_and_frequency(triplets):
    queries = make_queries(triplets, np.arange(70) < 10, np.arange(40, 70), relation=0)
    wrong = 30 - queries.hits.sum(1)
    harmonic = [
        np.mean(1 / np.arange(1, count + 2)) for count in np.repeat(wrong, queries.hits.sum(1))
    ]
    assert mean_reciprocal_rank(*of_chance(queries).filtered) == pytest.approx(np.mean(harmonic))
    fit = triplets[triplets[:, 0] >= 10]
    counts = [np.sum((fit[:, 1] == 0) & (fit[:, 2] == node)) for node in queries.candidates]
    scores = np.tile(np.array(counts, float), (len(queries.heads), 1))
    np.testing.assert_array_equal(
        of_frequency(queries, fit).filtered, rank(scores, queries).filtered
    )
