"""Tables from hits whose shares are known, from shuffled ones, and how well both hold."""

import numpy as np
import pytest

from eval.calibration.fitting import (
    confidences,
    effective_questions,
    fit_table,
    joined,
    logistic_weights,
    lower_end,
    reliability,
)
from eval.calibration.questions import Hits


def made_hits(seed, *, questions=150, each=20, shuffle=False):
    """Hits that agree with probability 1 / (1 + exp(4 - 8 · cosine)); the margin says nothing."""
    rng = np.random.default_rng(seed)
    cosines = rng.uniform(0, 1, questions * each)
    agrees = rng.uniform(size=cosines.size) < 1 / (1 + np.exp(4 - 8 * cosines))
    if shuffle:
        agrees = rng.permutation(agrees)
    return Hits(
        cosines, rng.uniform(0, 1, cosines.size), agrees, np.repeat(np.arange(questions), each), 0.1
    )


def test_shares_grow_with_the_cosine_and_hold_on_other_questions():
    table = fit_table("text", "family", made_hits(0))
    assert len(table.shares) >= 5
    assert list(table.shares) == sorted(table.shares)
    assert all(low < share for low, share in zip(table.lows, table.shares, strict=True))
    others = made_hits(1)
    sure = confidences(table, others)
    truth = 1 / (1 + np.exp(4 - 8 * others.cosines))
    assert np.abs(sure - truth).mean() < 0.06
    found = reliability(table, others, constant=float(made_hits(0).agrees.mean()))
    assert found.error < 0.04
    assert found.brier < 0.75 * found.constant
    assert (found.hits, found.questions) == (3000, 150)
    assert sum(count for *_, count in found.curve) == 3000


@pytest.mark.parametrize("seed", range(5))
def test_shuffled_labels_give_flat_confidence(seed):
    hits = made_hits(seed, shuffle=True)
    table = fit_table("text", "family", hits)
    share = hits.agrees.mean()
    assert len(table.shares) == 1
    assert np.abs(confidences(table, hits) - share).max() < 1e-12
    others = made_hits(seed + 100, shuffle=True)
    found = reliability(table, others, constant=float(share))
    assert found.brier == pytest.approx(found.constant)


def test_error_and_brier_score_are_those_of_the_formulas():
    table = fit_table("text", "family", made_hits(0))
    hits = made_hits(2, questions=30)
    sure, agrees = confidences(table, hits), hits.agrees.astype(float)
    found = reliability(table, hits, constant=0.3)
    bins = np.digitize(sure, np.arange(0.1, 1, 0.1))
    error = sum(
        (bins == b).sum() * abs(sure[bins == b].mean() - agrees[bins == b].mean())
        for b in set(bins.tolist())
    )
    assert found.error == pytest.approx(error / len(sure))
    assert found.brier == pytest.approx(((sure - agrees) ** 2).mean())
    assert found.constant == pytest.approx(((0.3 - agrees) ** 2).mean())


def test_logistic_weights_are_where_the_gradient_vanishes():
    hits = made_hits(3)
    features = np.stack([hits.cosines, hits.margins], axis=1)
    weights = logistic_weights(features, hits.agrees)
    assert weights[0] == pytest.approx(8, abs=0.6)
    assert weights[1] == pytest.approx(0, abs=0.4)


def test_few_questions_or_hits_that_are_all_alike_give_no_table():
    assert fit_table("text", "family", made_hits(0, questions=19)) is None
    hits = made_hits(0)
    assert fit_table("text", "family", hits._replace(agrees=np.ones_like(hits.agrees))) is None


def test_the_lower_end_is_wilsons():
    # 8 of 10, 95 %: Wilson's interval is [0.490, 0.943].
    assert lower_end(0.8, 10) == pytest.approx(0.490, abs=0.001)
    assert lower_end(0.0, 10) == 0.0


def test_questions_with_more_hits_weigh_more():
    assert effective_questions(np.repeat(np.arange(30), 20)) == pytest.approx(30)
    assert effective_questions(np.repeat([1, 2, 3], [8, 1, 1])) == pytest.approx(100 / 66)
    hits = made_hits(0, questions=40, shuffle=True)
    lopsided = hits._replace(questions=np.where(hits.questions < 20, 0, hits.questions))
    table = fit_table("text", "family", lopsided)
    assert table.questions == (21,)
    assert table.lows[0] == pytest.approx(
        lower_end(table.shares[0], 800**2 / (400**2 + 20 * 20**2))
    )


def test_groups_join_until_their_shares_grow():
    agrees = np.repeat([0.2, 0.1, 0.6, 0.5, 0.9], 100) > np.tile(np.linspace(0, 0.99, 100), 5)
    hits = Hits(np.zeros(500), np.zeros(500), agrees, np.arange(500), 0.1)
    kept = joined(np.split(np.arange(500), 5), hits)
    assert [len(group) for group in kept] == [200, 200, 100]
