import itertools
import math

import numpy as np
import pytest
from scipy import stats

from eval.metrics.comparison import holm, paired_p_value
from eval.metrics.statistics import bootstrap_interval


def p_of(first, second):
    own, other = bootstrap_interval(first), bootstrap_interval(second)
    return paired_p_value(first.mean() - second.mean(), own.resamples, other.resamples)


@pytest.mark.parametrize("effect", [0.0, 0.02, 0.05])
def test_p_value_is_the_paired_t_tests(effect):
    rng = np.random.default_rng(0)
    hard = rng.normal(size=2000)
    first, second = (hard + 0.3 * rng.normal(size=2000) for _ in range(2))
    first += effect
    expected = stats.ttest_rel(first, second).pvalue
    assert p_of(first, second) == pytest.approx(expected, rel=0.25, abs=1e-4)
    # An unpaired test sees nothing of it.
    assert stats.ttest_ind(first, second).pvalue > 0.1


def test_models_that_are_alike_do_not_differ():
    values = np.random.default_rng(1).random(30)
    assert p_of(values, values) == 1
    assert p_of(values + 1, values) == pytest.approx(0)
    assert math.isnan(paired_p_value(0.1, np.zeros(0), np.zeros(0)))
    assert math.isnan(paired_p_value(math.nan, np.arange(5.0), np.arange(5.0)))
    with pytest.raises(ValueError, match="3 and 4 resamples"):
        paired_p_value(0.1, np.zeros(3), np.zeros(4))


def test_holm_is_the_closure_of_bonferroni():
    rng = np.random.default_rng(2)
    for _ in range(30):
        p_values = rng.random(6) ** 4
        expected = []
        for own in range(6):
            others = [place for place in range(6) if place != own]
            sets = [
                (own, *more) for size in range(6) for more in itertools.combinations(others, size)
            ]
            expected.append(max(min(1, len(some) * min(p_values[list(some)])) for some in sets))
        assert holm(p_values) == pytest.approx(expected)


def test_what_was_not_compared_does_not_count():
    assert holm([0.01, math.nan, 0.5]) == pytest.approx([0.02, math.nan, 0.5], nan_ok=True)
    assert holm([]) == []
