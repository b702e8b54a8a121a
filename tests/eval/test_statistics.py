import numpy as np
import pytest

from eval.statistics import auroc, bootstrap_interval, ratio


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
    np.testing.assert_allclose(bootstrap_interval(values), (values.mean() - half, values.mean() + half), atol=0.03)


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
