import numpy as np
import pytest

from eval.metrics import statistics
from eval.metrics.statistics import (
    auroc,
    bootstrap_interval,
    bootstrap_metric,
    bootstrap_of_sums,
    mean_and_std,
    percentile_interval,
    ratio,
    resampled_counts,
)


def pairs_auroc(scores, labels):
    """Every (positive, negative) pair: 1 if the positive is above, 1/2 if tied."""
    comparisons = [np.sign(p - n) / 2 + 0.5 for p in scores[labels] for n in scores[~labels]]
    return np.mean(comparisons)


@pytest.mark.parametrize("levels", [2, 5, 1000])
@pytest.mark.parametrize("size", [2, 7, 90])
def test_auroc_is_the_share_of_ordered_pairs(levels, size):
    rng = np.random.default_rng(size * levels)
    for _ in range(20):
        scores, labels = rng.integers(levels, size=size) / levels, rng.random(size) < 0.4
        labels[:2] = True, False
        assert auroc(scores, labels) == pytest.approx(pairs_auroc(scores, labels), abs=1e-12)


def test_auroc_of_one_class_is_undefined():
    assert np.isnan(auroc(np.arange(3.0), np.ones(3, bool)))
    assert np.isnan(auroc(np.arange(3.0), np.zeros(3, bool)))


def test_interval_of_a_mean_is_the_normal_one():
    values = np.random.default_rng(0).normal(3.0, 2.0, size=400)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(
        bootstrap_interval(values), (values.mean() - half, values.mean() + half), atol=0.03
    )


def test_interval_is_of_the_ratio_of_sums():
    rng = np.random.default_rng(1)
    denominators = rng.integers(1, 30, size=200)
    low, high = bootstrap_interval(rng.binomial(denominators, 0.3), denominators)
    assert low < 0.3 < high
    # The spread of 200 · 15 independent trials.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.21 / denominators.sum()), rel=0.25)
    assert bootstrap_interval(0.3 * denominators, denominators) == pytest.approx((0.3, 0.3))


def test_interval_is_deterministic_and_undefined_for_one_item():
    values = np.arange(9.0)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert np.isnan(bootstrap_interval(np.ones(1))).all()


def test_ratio_of_nothing_is_undefined():
    assert np.isnan(ratio(np.zeros(0), np.zeros(0)))


@pytest.mark.parametrize("at_once", [1, 50, 10**6])
def test_every_resample_draws_as_many_as_there_are(at_once, monkeypatch):
    monkeypatch.setattr(statistics, "DRAWS_AT_ONCE", at_once)
    counts = np.concatenate(list(resampled_counts(7, seed=3, resamples=401)))
    assert counts.shape == (401, 7)
    assert (counts.sum(1) == 7).all()
    # Of a multinomial: mean 1, variance 1 − 1/7.
    np.testing.assert_allclose(counts.mean(0), 1, atol=0.2)
    np.testing.assert_allclose(counts.var(0), 6 / 7, atol=0.3)


def test_any_metric_has_the_interval_of_its_rows_drawn_anew():
    rng = np.random.default_rng(2)
    numerators, denominators = rng.random(60), rng.random(60) + 0.5
    expected = bootstrap_interval(numerators, denominators, seed=5)
    assert bootstrap_metric(
        lambda a, b: a.sum() / b.sum(), numerators, denominators, seed=5
    ) == pytest.approx(expected)
    sums = np.stack([numerators, denominators], axis=1)
    assert bootstrap_of_sums(lambda sums: sums[:, 0] / sums[:, 1], sums, seed=5) == pytest.approx(
        expected
    )
    low, high = bootstrap_metric(np.median, rng.normal(size=4000), resamples=500)
    # The standard error of a normal median is √(π/2)/√n.
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(np.pi / 2 / 4000), rel=0.2)


def test_metrics_of_rows_of_a_matrix_are_drawn_by_row():
    matrix = np.arange(12).reshape(4, 3)
    assert bootstrap_metric(
        lambda rows: float((rows[:, 1] - rows[:, 0]).mean()), matrix, resamples=20
    ) == (1.0, 1.0)
    assert np.isnan(bootstrap_metric(np.mean, np.ones(1))).all()
    assert np.isnan(bootstrap_of_sums(lambda sums: sums[:, 0], np.ones((1, 1)))).all()


def test_undefined_resamples_are_left_out_while_they_are_few():
    values = np.arange(1000.0)
    values[:40] = np.nan
    assert percentile_interval(values) == pytest.approx(
        tuple(np.percentile(values[40:], [2.5, 97.5]))
    )
    values[:60] = np.nan
    assert np.isnan(percentile_interval(values)).all()
    assert np.isnan(percentile_interval([])).all()


def test_means_over_seeds():
    assert mean_and_std([1.0, 2.0, 6.0]) == (3.0, pytest.approx(np.sqrt(7)))
    mean, std = mean_and_std([0.5])
    assert mean == 0.5
    assert np.isnan(std)
    assert np.isnan(mean_and_std([])).all()
    assert np.isnan(mean_and_std([1.0, float("nan")])).all()
