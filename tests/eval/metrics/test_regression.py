import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.metrics import (
    correlation_p_value,
    mae,
    pearson,
    rmse,
    spearman,
    spearman_interval,
    spearman_of_counts,
)
from eval.metrics.statistics import bootstrap_metric


def example(seed, rows, levels, scale):
    rng = np.random.default_rng(seed)
    x = rng.integers(levels, size=rows) * scale
    return x, rng.integers(levels, size=rows) * 3.0 + x / scale


EXAMPLES = {
    "seed": st.integers(0, 2**32),
    "rows": st.integers(2, 40),
    "levels": st.sampled_from([1, 2, 5, 10**6]),
    "scale": st.sampled_from([0.1, 1e-200, 1e200]),
}


@settings(deadline=None, max_examples=150)
@given(**EXAMPLES)
def test_correlations_are_scipys(**options):
    x, y = example(**options)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranks = scipy.stats.spearmanr(x, y)
        line = scipy.stats.pearsonr(x, y)
    np.testing.assert_allclose(spearman(x, y), ranks.statistic, atol=1e-12)
    if abs(ranks.statistic) < 1 - 1e-9:
        np.testing.assert_allclose(
            correlation_p_value(ranks.statistic, len(x)), ranks.pvalue, rtol=1e-9
        )
    if options["scale"] == 0.1:
        np.testing.assert_allclose(pearson(x, y), line.statistic, atol=1e-10)
    else:
        np.testing.assert_allclose(pearson(x, y), pearson(x / options["scale"], y), atol=1e-12)


@settings(deadline=None, max_examples=50)
@given(**EXAMPLES | {"scale": st.just(0.1)})
def test_errors_are_scikit_learns(**options):
    x, y = example(**options)
    assert mae(x, y) == pytest.approx(sklearn.metrics.mean_absolute_error(y, x))
    assert rmse(x, y) == pytest.approx(sklearn.metrics.root_mean_squared_error(y, x))


@settings(deadline=None, max_examples=100)
@given(**EXAMPLES)
def test_counts_are_repeated_rows(**options):
    x, y = example(**options)
    counts = np.random.default_rng(options["seed"]).integers(3, size=len(x))
    repeated = spearman(np.repeat(x, counts), np.repeat(y, counts)) if counts.any() else np.nan
    np.testing.assert_allclose(spearman_of_counts(x, y)(counts), repeated, atol=1e-12)


@pytest.mark.parametrize("metric", [spearman, pearson])
@pytest.mark.parametrize("values", [[], [1.0], [0.1, 0.1, 0.1], [1.0, 2.0, np.nan]])
def test_correlation_of_what_has_none(metric, values):
    values, others = np.array(values), np.arange(float(len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(metric(values, others))
        assert np.isnan(metric(others, values))


def test_infinite_values_have_ranks_but_no_line():
    x = np.array([1.0, np.inf, 2.0, -np.inf])
    assert spearman(x, np.array([2, 9, 3, 1])) == 1.0
    assert np.isnan(pearson(x, np.arange(4)))


def test_a_line_correlates_perfectly():
    x = np.random.default_rng(0).normal(size=1000) * 1e-3 + 1e5
    assert pearson(x, -2 * x) == -1.0
    assert spearman(x, -(x**3)) == -1.0
    assert correlation_p_value(-1.0, 1000) == 0.0
    assert np.isnan(correlation_p_value(0.5, 2))


def test_errors_by_hand():
    assert mae(np.array([1, 5]), np.array([2, 2])) == 2.0
    assert rmse(np.array([1, 5]), np.array([2, 2])) == pytest.approx(np.sqrt(5))
    assert np.isnan(mae(np.zeros(0), np.zeros(0)))
    assert np.isnan(rmse(np.zeros(0), np.zeros(0)))


def test_unsigned_predictions_do_not_wrap():
    assert mae(np.array([1], np.uint8), np.array([2], np.uint8)) == 1.0


def test_interval_is_that_of_rows_drawn_anew():
    rng = np.random.default_rng(1)
    x = rng.integers(9, size=300)
    y = x + rng.normal(size=300) * 3
    assert spearman_interval(x, y, seed=4, resamples=200) == pytest.approx(
        bootstrap_metric(spearman, x, y, seed=4, resamples=200), abs=1e-12
    )
    low, high = spearman_interval(x, y)
    assert low < spearman(x, y) < high
    assert np.isnan(spearman_interval(x[:1], y[:1])).all()
    assert np.isnan(spearman_interval(np.ones(5), np.arange(5))).all()
