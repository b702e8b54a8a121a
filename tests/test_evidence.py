"""The statistics of the evidence: intervals that cover what they should, Holm's correction, verdicts."""

import numpy as np
import pytest

from benchmarks.evidence.intervals import (
    Estimate,
    estimate,
    holm,
    mean_average_precision,
    replicate_map_differences,
    replicate_means,
    verdict,
)


def test_clusters_are_drawn_whole():
    rng = np.random.default_rng(0)
    values = np.repeat([0.0, 1.0, 5.0], [10, 20, 1])
    means = replicate_means(values, values.astype(int), rng=rng, replicates=4000)
    # By hand: of three clusters all 27 draws are as likely.
    sums, counts = np.array([0.0, 20.0, 5.0]), np.array([10, 20, 1])
    draws = np.array([(a, b, c) for a in range(3) for b in range(3) for c in range(3)])
    expected = sums[draws].sum(1) / counts[draws].sum(1)
    assert means.mean() == pytest.approx(expected.mean(), abs=0.05)
    assert np.isin(means.round(9), expected.round(9)).all()


def test_intervals_cover_at_about_their_level():
    """True mean 0, spread between seeds, between clusters and within them: 12 seeds cover it in about 95 of 100."""
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(120):
        points, replicates = [], []
        for _ in range(12):
            clusters = np.repeat(np.arange(30), 4)
            values = rng.normal(0, 0.5) + rng.normal(0, 1, 30)[clusters] + rng.normal(0, 1, 120)
            points.append(values.mean())
            replicates.append(replicate_means(values, clusters, rng=rng, replicates=200))
        low, high = estimate(points, replicates, rng=rng, draws=1000).interval
        covered += low <= 0 <= high
    assert 0.87 * 120 <= covered <= 120


def test_p_is_small_where_the_interval_is_far_from_zero_and_never_zero():
    rng = np.random.default_rng(2)
    far = estimate([1.0] * 5, [rng.normal(1, 0.1, 500)] * 5, rng=rng)
    assert 0 < far.p < 0.001
    assert far.mean == 1.0
    near = estimate([0.0] * 5, [rng.normal(0, 0.1, 500)] * 5, rng=rng)
    assert near.p > 0.5


def test_map_of_resampled_proteins():
    rng = np.random.default_rng(3)
    answered = rng.random((6, 40)) < 0.3
    good, bad = answered + rng.normal(0, 0.5, answered.shape), rng.normal(size=answered.shape)
    found = replicate_map_differences(good, bad, answered, np.arange(40) // 2, rng=rng, replicates=100)
    point = mean_average_precision(good, answered) - mean_average_precision(bad, answered)
    assert found.mean() == pytest.approx(point, abs=0.08)
    assert found.min() > 0
    same = replicate_map_differences(good, good, answered, np.arange(40), rng=rng, replicates=10)
    assert (same == 0).all()


def test_holm_is_its_definition():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "c": 0.06, "b": 0.06})
    assert holm({"a": 0.6, "b": 0.9}) == {"a": 1.0, "b": 1.0}


@pytest.mark.parametrize(
    ("mean", "interval", "p", "expected"),
    [
        (0.1, (0.05, 0.15), 0.01, "positive"),
        (-0.1, (-0.15, -0.05), 0.01, "negative"),
        (0.1, (0.05, 0.15), 0.2, "undecided (2 seeds"),
        (0.001, (-0.009, 0.011), 0.9, "no effect"),
        (0.05, (-0.05, 0.15), 0.4, "undecided (20 seeds"),
        (0.0, (-0.1, 0.1), 1.0, "undecided"),
    ],
)
def test_verdicts(mean, interval, p, expected):
    found = Estimate(mean, interval, p, (mean,) * 5)
    assert verdict(found, p, margin=0.02).startswith(expected)
