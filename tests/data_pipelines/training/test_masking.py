import numpy as np
import pytest

from data_pipelines.training import masking

LENGTHS = [1, 2, 3, 4, 5, 6, 9, 10, 11, 15, 33, 34, 40, 67, 100, 360, 1022]


def residues_of(n):
    mask = np.ones(n + 2, bool)
    mask[[0, -1]] = False
    return mask


def runs(mask):
    """Lengths of the maximal runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return edges[1::2] - edges[::2]


@pytest.mark.parametrize("n", LENGTHS)
def test_mlm_masks_the_exact_count_of_residues(n):
    residues = residues_of(n)
    for seed in range(20):
        mask = masking.mlm_mask(residues, np.random.default_rng(seed))
        assert mask.sum() == max(1, round(0.15 * n))
        assert not (mask & ~residues).any()


def test_mlm_masks_every_residue_equally_often():
    residues, draws = residues_of(40), 4000
    counts = sum(
        masking.mlm_mask(residues, np.random.default_rng(seed)).astype(int) for seed in range(draws)
    )
    expected = draws * 6 / 40
    assert np.abs(counts[1:-1] - expected).max() < 5 * np.sqrt(expected)


@pytest.mark.parametrize("n", LENGTHS)
def test_segments_are_whole_disjoint_and_cover_the_rate(n):
    residues = residues_of(n)
    for seed in range(100):
        mask = masking.segment_mask(residues, np.random.default_rng(seed))
        assert mask.sum() >= 0.15 * n
        assert not (mask & ~residues).any()
        # Neighbours never touch, so a run is a segment; only a protein shorter than a segment
        # shortens it.
        lengths = runs(mask)
        assert lengths.min() >= min(5, n)
        assert lengths.max() <= 10
        # Without its last segment, the mask was still short of the rate.
        assert mask.sum() - lengths.max() < 0.15 * n


def test_segment_lengths_are_uniform():
    residues = residues_of(360)
    lengths = np.concatenate(
        [runs(masking.segment_mask(residues, np.random.default_rng(seed))) for seed in range(1500)]
    )
    counts = np.bincount(lengths, minlength=11)[5:]
    expected = lengths.size / 6
    assert counts.sum() == lengths.size
    # Chi-square, 5 degrees of freedom: the 99.99 % quantile is 25.7.
    assert ((counts - expected) ** 2 / expected).sum() < 25.7


def test_segments_have_no_preferred_place():
    # Two segments of length 5 in 22 residues, against every placement that leaves a gap.
    n, draws = 22, 6000
    positions = [(a, b) for a in range(n) for b in range(a + 6, n - 4)]
    expected = np.zeros(n)
    for starts in positions:
        for start in starts:
            expected[start : start + 5] += 1 / len(positions)
    counts = np.zeros(n)
    for seed in range(draws):
        rng = np.random.default_rng(seed)
        counts += masking.segment_mask(
            residues_of(n), rng, rate=10 / n, min_length=5, max_length=5
        )[1:-1]
    assert np.abs(counts / draws - expected).max() < 5 * np.sqrt(0.25 / draws)


def test_length_does_not_depend_on_place():
    first, last = [], []
    for seed in range(2000):
        lengths = runs(masking.segment_mask(residues_of(60), np.random.default_rng(seed)))
        first.append(lengths[0])
        last.append(lengths[-1])
    error = np.sqrt((np.var(first) + np.var(last)) / 2000)
    assert abs(np.mean(first) - np.mean(last)) < 4 * error


@pytest.mark.parametrize("rate", [0.3, 0.5])
@pytest.mark.parametrize("n", [1, 7, 12, 15, 20, 34, 200])
def test_higher_rates_still_fit(n, rate):
    for seed in range(100):
        mask = masking.segment_mask(residues_of(n), np.random.default_rng(seed), rate=rate)
        assert mask.sum() >= rate * n
        assert runs(mask).max() <= 10


@pytest.mark.parametrize("n", [1, 4, 9])
def test_proteins_shorter_than_a_segment(n):
    masks = [
        masking.segment_mask(residues_of(n), np.random.default_rng(seed)) for seed in range(50)
    ]
    sizes = {int(mask.sum()) for mask in masks}
    assert sizes <= set(range(min(5, n), n + 1))
    assert n in sizes


def test_empty_protein_is_not_masked():
    nothing = np.zeros(2, bool)
    for draw in (masking.separate_masks, masking.disjoint_masks):
        mlm, segments = draw(nothing, np.random.default_rng(0))
        assert not mlm.any()
        assert not segments.any()


@pytest.mark.parametrize("n", LENGTHS)
def test_shared_masks_are_disjoint_and_keep_the_count(n):
    residues = residues_of(n)
    for seed in range(20):
        mlm, segments = masking.MASKS["shared"](residues, np.random.default_rng(seed))
        assert not (mlm & segments).any()
        assert not (mlm & ~residues).any()
        assert mlm.sum() == min(max(1, round(0.15 * n)), n - segments.sum())


def test_separate_masks_are_independent():
    residues = residues_of(200)
    overlap = [
        np.logical_and(*masking.MASKS["separate"](residues, np.random.default_rng(seed))).sum()
        for seed in range(300)
    ]
    # 30 MLM residues, each in a segment with probability about 34 / 200.
    assert 3.5 < np.mean(overlap) < 6.5


def test_masks_depend_on_the_generator_alone():
    residues = residues_of(300)
    for draw in masking.MASKS.values():
        one, two, other = (draw(residues, np.random.default_rng(seed)) for seed in (3, 3, 4))
        np.testing.assert_array_equal(one, two)
        assert (one[0] != other[0]).any()
        assert (one[1] != other[1]).any()
