import itertools

import numpy as np
import pytest

from eval.pretraining import retrieval
from eval.pretraining.retrieval import Retrieval, chance, competition, recall, reciprocal_rank
from tests.support.fakes import Ignorant, Oracle

ANY = np.arange(3)


def ranks_over_orders(scores, hits):
    """The best hit's rank in every order of the candidates that the scores allow, ties in any
    order."""
    ranks = []
    for order in itertools.permutations(range(len(scores))):
        if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order)):
            ranks.append(
                1 + min(position for position, candidate in enumerate(order) if hits[candidate])
            )
    return np.array(ranks)


@pytest.mark.parametrize(
    "scores",
    [[0.3, 0.1, 0.2, 0.0, 0.5], [0.2, 0.2, 0.2, 0.1, 0.3], [0.1] * 5, [0.4, 0.4, 0.1, 0.4, 0.2]],
)
@pytest.mark.parametrize("hit", range(5))
def test_numbers_are_expectations_over_the_orders_of_ties(scores, hit):
    scores, hits = np.array(scores), np.arange(5) == hit
    above, tied = competition(scores[None], np.array([1]), hits.astype(int))
    ranks = ranks_over_orders(scores, hits)
    for k in (1, 2, 5):
        assert recall(above, tied, k) == pytest.approx(np.mean(ranks <= k))
    assert reciprocal_rank(above, tied) == pytest.approx(np.mean(1 / ranks))
    assert above + tied / 2 + 1 == pytest.approx(np.median(ranks))


def test_the_best_ranked_of_equal_texts_counts():
    scores = np.array([[0.1, 0.9, 0.5], [0.1, 0.9, 0.5]])
    above, tied = competition(scores, np.array([7, 8]), np.array([7, 8, 7]))
    np.testing.assert_array_equal(above, [1, 0])
    np.testing.assert_array_equal(tied, [0, 0])


def test_what_is_not_a_number_wins_nothing():
    above, tied = competition(np.full((3, 3), np.nan), ANY, ANY)
    np.testing.assert_array_equal(above + tied, [2, 2, 2])
    above, _ = competition(np.array([[np.nan, 0.1, 0.2]]), ANY[:1], ANY)
    assert above == 2


def test_a_perfect_model_scores_one(dataset):
    metrics = Retrieval(dataset, split="validation", pool=40).metrics(Oracle(dataset))
    assert metrics.pop("pool") == 40
    assert set(metrics.values()) == {1.0}
    assert {
        "mrr",
        "p2t_r1",
        "p2t_r5",
        "p2t_r10",
        "t2p_r1",
        "p2t_median_rank",
        "t2p_mrr",
    } <= metrics.keys()


def test_equal_embeddings_score_exactly_chance(dataset):
    evaluation = Retrieval(dataset, split="test", pool=40)
    metrics = evaluation.metrics(Ignorant(dataset))
    harmonic = sum(1 / rank for rank in range(1, 41))
    assert metrics["p2t_r1"] == pytest.approx(1 / 40)
    assert metrics["t2p_r10"] == pytest.approx(10 / 40)
    assert metrics["mrr"] == pytest.approx(harmonic / 40)
    assert metrics["t2p_median_rank"] == 20.5
    assert metrics.items() >= chance(40).items()


class Noisy(Oracle):
    """Often right."""

    def encode_proteins(self, sequences):
        clean = super().encode_proteins(sequences)
        return clean + np.random.default_rng(0).normal(size=clean.shape) * 0.3


def test_directions_are_not_confused(dataset):
    evaluation, model = Retrieval(dataset, split="test", pool=50), Noisy(dataset)
    metrics = evaluation.metrics(model)
    proteins = model.encode_proteins([record.sequence for record in evaluation._pool.records])
    scores = proteins @ model.encode_texts(evaluation._pool.texts).T
    own = np.arange(50)
    assert metrics["p2t_r1"] == pytest.approx(np.mean(scores.argmax(1) == own))
    assert metrics["t2p_r1"] == pytest.approx(np.mean(scores.argmax(0) == own))
    assert metrics["p2t_r1"] != metrics["t2p_r1"]
    assert metrics["mrr"] == pytest.approx((metrics["p2t_mrr"] + metrics["t2p_mrr"]) / 2)


def test_chunks_do_not_change_the_numbers(dataset, monkeypatch):
    evaluation, model = Retrieval(dataset, split="test", pool=50), Noisy(dataset)
    whole = evaluation.metrics(model)
    monkeypatch.setattr(retrieval, "SCORES_AT_ONCE", 50 * 7)
    assert evaluation.metrics(model) == whole
    assert 0.05 < whole["p2t_r1"] < 0.95


def test_report_says_what_it_measured(dataset):
    evaluation = Retrieval(dataset, split="test", pool=256)
    result = evaluation.report(Oracle(dataset), control=None)
    assert result["pool"] == len(set(evaluation._pool.texts)) < result["requested_pool"] == 256
    assert result["p2t_r1_interval"] == (1.0, 1.0)
    assert 0 < result["kmer"]["p2t_mrr"] < 1
    assert result["kmer"]["reference_records"] == 150
    page = evaluation.markdown(result)
    assert "(256 were requested)" in page
    assert page.count("k-mer baseline |") == 2
