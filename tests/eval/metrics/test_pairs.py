import numpy as np
import pytest

from eval.metrics import micro_f1
from eval.metrics.pairs import pair_bootstrap_interval, resampled_pair_counts
from eval.metrics.statistics import bootstrap_interval


@pytest.fixture
def pairs():
    """60 pairs of 12 of the proteins 0, 3, 6 …, which each meet many others."""
    return 3 * np.stack(np.triu_indices(12, 1), axis=1)[:60].astype(np.int32)


def test_interval_is_that_of_f1_on_pairs_written_out_as_often_as_both_proteins_were_drawn(pairs):
    rng = np.random.default_rng(0)
    said, true = (rng.random((60, 7)) < 0.4 for _ in range(2))
    hits, sizes = 2 * (said & true).sum(1), (said.astype(int) + true).sum(1)
    found = pair_bootstrap_interval(pairs, hits, sizes, seed=3, resamples=300)
    # The proteins drawn, one by one, and each pair of two of them that is a pair of the data.
    proteins, place = (
        np.unique(pairs),
        {tuple(pair): row for row, pair in enumerate(pairs.tolist())},
    )
    draws = np.random.default_rng(3).integers(12, size=(300, 12))
    expected = []
    for drawn in draws:
        rows = [place[a, b] for a in proteins[drawn] for b in proteins[drawn] if (a, b) in place]
        expected.append(micro_f1(said[rows], true[rows]))
    np.testing.assert_allclose(found.resamples, expected, rtol=1e-12)
    assert found == pytest.approx(tuple(np.percentile(expected, [2.5, 97.5])))


def test_what_proteins_cause_is_in_the_interval():
    """A hit is a matter of the first protein alone: the spread is that of proteins, which pairs
    drawn one by one hide."""
    pairs = np.stack(np.meshgrid(np.arange(40), np.arange(40, 80), indexing="ij"), axis=-1).reshape(
        -1, 2
    )
    right = np.random.default_rng(1).random(40) < 0.5
    hits, ones = right[pairs[:, 0]], np.ones(len(pairs))
    low, high = pair_bootstrap_interval(pairs, hits, ones)
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 40), rel=0.35)
    by_pairs = bootstrap_interval(hits, ones)
    assert high - low > 3 * (by_pairs[1] - by_pairs[0])


def test_nothing_can_be_said_of_fewer_than_two_proteins():
    none = np.zeros((0, 2), np.int32)
    assert list(resampled_pair_counts(none, seed=0)) == []
    assert np.isnan(pair_bootstrap_interval(none, np.zeros(0), np.zeros(0))).all()
