import itertools

import numpy as np
import pytest

from eval.metrics import best_hit, every_hit, hits_at, mean_reciprocal_rank
from eval.metrics.ranking import recall, reciprocal_rank


def orders(scores):
    """Every order of the candidates that the scores allow, ties in any order."""

    def allowed(order):
        return all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))

    return list(filter(allowed, itertools.permutations(range(len(scores)))))


@pytest.mark.parametrize(
    "scores",
    [[0.3, 0.1, 0.2, 0.0, 0.5], [0.2, 0.2, 0.2, 0.1, 0.3], [0.1] * 5, [0.4, 0.4, 0.1, 0.4, 0.2]],
)
@pytest.mark.parametrize("hit", range(5))
@pytest.mark.parametrize("rule", [best_hit, every_hit])
def test_numbers_of_one_hit_are_expectations_over_the_orders_of_ties(scores, hit, rule):
    above, tied = rule(np.array([scores]), np.arange(5)[None] == hit)
    ranks = np.array([1 + order.index(hit) for order in orders(scores)])
    for k in (1, 2, 5):
        assert hits_at(above, tied, k) == pytest.approx(np.mean(ranks <= k))
    assert mean_reciprocal_rank(above, tied) == pytest.approx(np.mean(1 / ranks))


def filtered_ranks(scores, hits, hit):
    """The hit's rank in each order, without the other hits."""
    kept = [position for position in range(len(scores)) if position == hit or not hits[position]]
    ranked = orders([scores[position] for position in kept])
    return np.array([1 + order.index(kept.index(hit)) for order in ranked])


@pytest.mark.parametrize("seed", range(15))
def test_each_of_several_hits_is_ranked_among_the_wrong_candidates(seed):
    rng = np.random.default_rng(seed)
    scores, hits = rng.integers(4, size=(3, 6)) / 4, rng.random((3, 6)) < 0.4
    hits[:, 0] = True
    above, tied = every_hit(scores, hits)
    ranks = [filtered_ranks(scores[row], hits[row], column) for row, column in np.argwhere(hits)]
    np.testing.assert_allclose(recall(above, tied, 2), [np.mean(each <= 2) for each in ranks])
    np.testing.assert_allclose(reciprocal_rank(above, tied), [np.mean(1 / each) for each in ranks])


def test_the_best_of_several_hits_counts_once():
    above, tied = best_hit(np.array([[0.9, 0.5, 0.7]]), np.array([[True, True, False]]))
    assert (above, tied) == (0, 0)
    above, tied = every_hit(np.array([[0.9, 0.5, 0.7]]), np.array([[True, True, False]]))
    np.testing.assert_array_equal(above, [0, 1])


@pytest.mark.parametrize("rule", [best_hit, every_hit])
def test_equal_scores_are_chance_and_no_numbers_win_nothing(rule):
    hits = np.eye(4, dtype=bool)
    for scores in (np.zeros((4, 4)), np.full((4, 4), np.nan)):
        above, tied = rule(scores, hits)
        assert hits_at(above, tied, 1) == pytest.approx(1 / 4)
        assert mean_reciprocal_rank(above, tied) == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4) / 4)
    above, _ = rule(np.array([[np.nan, 0.1, 0.2]]), np.array([[True, False, False]]))
    assert above == 2


@pytest.mark.parametrize("rule", [best_hit, every_hit])
def test_a_query_without_a_hit_is_refused(rule):
    with pytest.raises(ValueError, match="1 of 2 queries have no hit"):
        rule(np.zeros((2, 3)), np.array([[True, False, False], [False] * 3]))


def test_no_queries_have_no_rank():
    nothing = np.zeros(0, int)
    assert np.isnan(hits_at(nothing, nothing, 1))
    assert np.isnan(mean_reciprocal_rank(nothing, nothing))
    assert reciprocal_rank(nothing, nothing).size == 0
