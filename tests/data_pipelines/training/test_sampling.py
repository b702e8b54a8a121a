from collections import Counter

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.training.sampling import BLOCK_DRAWS, make_sampler, permute

SIZES = {
    "swissprot/C1/R4": 2_000,
    "swissprot/C3/R3": 700,
    "swissprot/C5/R1": 3,
    "trembl/C1/R4": 40,
    "trembl/C2/R3": 9_000,
    "trembl/C3/R4": 60_000,
    "trembl/C3/R2": 500_000,
    "trembl/C4/R4": 800_000,
    "trembl/C0/R4": 11,
}


def expected_shares(sizes, *, alpha, beta, gamma, source_shares=None):
    """Shares from the formula in float64: mass C^-alpha R^beta N^gamma for TrEMBL, N for
    Swiss-Prot."""
    mass, thinned = {}, {}
    for cluster, size in sizes.items():
        source, c, r = cluster.split("/")
        c, r = int(c[1:]), int(r[1:])
        if source == "swissprot":
            mass[cluster], thinned[cluster] = size, size
        elif c in (0, 4, 5) or r in (1, 2):
            mass[cluster], thinned[cluster] = 0.0, 0.0
        else:
            factor = c**-alpha * (r / 4) ** beta
            mass[cluster], thinned[cluster] = factor * size**gamma, factor * size
    shares = {}
    for source in ("swissprot", "trembl"):
        names = [cluster for cluster in sizes if cluster.startswith(source)]
        share = (
            source_shares[source]
            if source_shares
            else sum(thinned[n] for n in names) / sum(thinned.values())
        )
        total = sum(mass[name] for name in names)
        shares |= {name: share * mass[name] / total for name in names}
    return shares, sum(thinned.values())


@pytest.mark.parametrize(
    ("exponents", "sources"),
    [
        ({"alpha": 3.0, "beta": 0.5, "gamma": 1.0}, None),
        ({"alpha": 1.0, "beta": 2.0, "gamma": 0.5}, None),
        ({"alpha": 0.0, "beta": 0.0, "gamma": 0.0}, {"swissprot": 0.25, "trembl": 0.75}),
    ],
)
def test_probabilities_follow_the_formula(exponents, sources):
    sampler = make_sampler(SIZES, seed=0, sources=sources, **exponents)
    shares, epoch = expected_shares(SIZES, source_shares=sources, **exponents)
    np.testing.assert_allclose(
        sampler.probabilities, [shares[cluster] for cluster in sampler.clusters], rtol=1e-12
    )
    assert sampler.epoch_draws == round(epoch)
    table = {row["cluster"]: row for row in sampler.table()}
    assert set(table) == set(SIZES)
    assert table["trembl/C4/R4"]["epoch_draws"] == 0.0
    assert sum(row["epoch_draws"] for row in table.values()) == pytest.approx(sampler.epoch_draws)


UNKNOWN = {"unknown/C0/R1": 900, "unknown/C4/R2": 100}
BARE = {"unknown/C0/R0": 300, "trembl/C1/R0": 100}
RECORDED = [7, 7, 0, 1, 0], [28161, 54115, 1517, 611, 36]
"""Clusters and records of some draws, as the version gave them that had neither unknown sources
nor records without text."""


def named_draws(sampler, count):
    """(cluster, record) of the first draws."""
    clusters, records = sampler.draws(np.arange(count))
    return [
        (sampler.clusters[cluster], record)
        for cluster, record in zip(clusters, records.tolist(), strict=True)
    ]


def test_records_that_are_not_drawn_change_no_draw():
    clusters, records = make_sampler(SIZES, seed=5).draws(np.array([0, 1, 2, 8191, 100_000]))
    assert (clusters.tolist(), records.tolist()) == RECORDED
    plain = named_draws(make_sampler(SIZES, seed=5), 30_000)
    assert plain == named_draws(make_sampler(SIZES | BARE, seed=5), 30_000)
    left_out = make_sampler(SIZES | BARE | UNKNOWN, seed=5, sources={"unknown": 0})
    assert plain == named_draws(left_out, 30_000)
    assert left_out.epoch_draws == make_sampler(SIZES, seed=5).epoch_draws


def test_records_of_unknown_source_are_drawn_whole():
    sampler = make_sampler(SIZES | UNKNOWN | BARE, seed=0)
    shares = dict(zip(sampler.clusters, sampler.probabilities, strict=True))
    _, epoch = expected_shares(SIZES, alpha=3.0, beta=0.5, gamma=1.0)
    assert sampler.epoch_draws == round(epoch + 1000)
    assert shares["unknown/C0/R1"] == pytest.approx(900 / (epoch + 1000))
    assert shares["unknown/C4/R2"] == pytest.approx(100 / (epoch + 1000))
    assert shares["swissprot/C1/R4"] == pytest.approx(2_000 / (epoch + 1000))
    assert shares["unknown/C0/R0"] == shares["trembl/C1/R0"] == 0
    chosen = make_sampler(SIZES | UNKNOWN, seed=0, sources={"unknown": 3, "trembl": 1})
    shares = dict(zip(chosen.clusters, chosen.probabilities, strict=True))
    assert shares["unknown/C0/R1"] == pytest.approx(0.75 * 0.9)
    assert shares["swissprot/C1/R4"] == 0


def test_records_without_text_have_the_share_that_is_asked_for():
    sampler = make_sampler(SIZES | BARE, seed=0, without_text=0.2)
    shares = dict(zip(sampler.clusters, sampler.probabilities, strict=True))
    exact, epoch = expected_shares(SIZES, alpha=3.0, beta=0.5, gamma=1.0)
    assert shares["unknown/C0/R0"] == pytest.approx(0.2 * 0.75)
    assert shares["trembl/C1/R0"] == pytest.approx(0.2 * 0.25)
    for cluster, share in exact.items():
        assert shares[cluster] == pytest.approx(0.8 * share)
    # One epoch takes the records with text as often as without the others.
    assert sampler.epoch_draws == round(epoch / 0.8)
    alone = make_sampler(BARE, seed=0, without_text=1.0)
    assert alone.epoch_draws == 400
    assert alone.probabilities.tolist() == [0.25, 0.75]


@pytest.mark.parametrize("seed", [0, 1, -7])
def test_200_000_draws_follow_the_mixture(seed):
    sampler = make_sampler(SIZES, seed=seed)
    clusters, records = sampler.draws(np.arange(200_000))
    shares, _ = expected_shares(SIZES, alpha=3.0, beta=0.5, gamma=1.0)
    exact = np.array([shares[cluster] for cluster in sampler.clusters])
    assert (records >= 0).all()
    assert (records < np.array(sampler.sizes)[clusters]).all()
    # A block ends where every cluster is within one draw of its quota; one such place lies near
    # each multiple.
    counts = np.cumsum(clusters[:, None] == np.arange(len(exact)), axis=0)
    for block in range(1, 200_000 // BLOCK_DRAWS + 1):
        near = np.arange(
            block * BLOCK_DRAWS - len(exact) - 1, min(block * BLOCK_DRAWS + len(exact), 200_000)
        )
        off = np.abs(counts[near] - exact * block * BLOCK_DRAWS).max(axis=1)
        assert off.min() < 1 + 1e-6, f"no end of block {block} with every cluster within its quota"
    # Anywhere else a cluster is off by what a permutation of a block allows.
    spread = np.abs(counts - exact * np.arange(1, 200_001)[:, None])
    assert (spread < 1 + 6 * np.sqrt(exact * BLOCK_DRAWS / 4 + 1)).all()


def test_draws_are_a_pure_function_of_their_index():
    sampler = make_sampler(SIZES, seed=5)
    clusters, records = sampler.draws(np.arange(50_000))
    rng = np.random.default_rng(0)
    for indices in (
        np.arange(23_456, 50_000),
        np.arange(3, 50_000, 64),
        rng.integers(0, 50_000, 500),
        np.array([8191]),
    ):
        again_clusters, again_records = make_sampler(dict(reversed(SIZES.items())), seed=5).draws(
            indices
        )
        np.testing.assert_array_equal(again_clusters, clusters[indices])
        np.testing.assert_array_equal(again_records, records[indices])
    other_clusters, other_records = make_sampler(SIZES, seed=6).draws(np.arange(50_000))
    assert (other_clusters != clusters).mean() > 0.1
    assert (other_records != records).mean() > 0.9


@pytest.mark.parametrize("start", [10**12 + 7, 2**55])
def test_draws_far_out_stay_exact(start):
    sampler = make_sampler(SIZES, seed=5)
    clusters, records = sampler.draws(start + np.arange(3 * BLOCK_DRAWS))
    shares = np.bincount(clusters, minlength=len(sampler.clusters)) / (3 * BLOCK_DRAWS)
    np.testing.assert_allclose(shares, sampler.probabilities, atol=0.01)
    keys = list(zip(clusters.tolist(), records.tolist(), strict=True))
    large = [key for key in keys if sampler.sizes[key[0]] > 5_000]
    # At most two passes over a cluster touch a stretch shorter than the cluster.
    assert max(Counter(large).values()) <= 2


def test_no_record_repeats_before_its_cluster_is_exhausted():
    sampler = make_sampler(SIZES, seed=2)
    clusters, records = sampler.draws(np.arange(60_000))
    for cluster, size in enumerate(sampler.sizes):
        drawn = records[clusters == cluster]
        passes = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        for one_pass in passes:
            assert len(np.unique(one_pass)) == len(one_pass)
        if len(passes) > 2 and size > 30:
            assert (passes[0] != passes[1]).mean() > 0.9, "every pass has its own order"
    exhausted = [s for c, s in enumerate(sampler.sizes) if (clusters == c).sum() > 2 * s]
    assert len(exhausted) >= 3, "the check crossed the border of a pass"


def test_a_rare_cluster_is_drawn_at_its_rate():
    sampler = make_sampler({"swissprot/C1/R4": 1_000_000, "swissprot/C5/R1": 10}, seed=0)
    clusters, _ = sampler.draws(np.arange(500_000))
    assert abs((clusters == 1).sum() - 5) <= 1


def test_no_draws_give_no_records():
    clusters, records = make_sampler(SIZES, seed=0).draws(np.arange(0))
    assert clusters.size == records.size == 0


@pytest.mark.parametrize("size", [1, 2, 3, 15, 16, 17, 64, 65, 1000, 4096, 70_001])
def test_permutation_is_a_bijection_for_every_key(size):
    for key in (0, 1, 2**63 + 12345):
        image = permute(
            np.arange(size), size=np.full(size, size), key=np.full(size, key, np.uint64)
        )
        np.testing.assert_array_equal(np.sort(image), np.arange(size))


def test_permutations_of_three_are_equally_frequent():
    keys = np.random.default_rng(0).integers(0, 2**63, 6_000).astype(np.uint64)
    images = permute(
        np.tile(np.arange(3), 6_000), size=np.full(18_000, 3), key=np.repeat(keys, 3)
    ).reshape(-1, 3)
    counts = Counter(map(tuple, images.tolist()))
    assert len(counts) == 6
    # Binomial(6000, 1/6): mean 1000, deviation 29.
    assert all(abs(count - 1000) < 6 * 29 for count in counts.values())


@pytest.mark.parametrize(
    ("sizes", "config", "message"),
    [
        ({}, {}, "no training records are left"),
        ({"swissprot/C1/R4": 0}, {}, "no training records are left"),
        ({"trembl/C4/R4": 5}, {}, "sampling.drop_confidence"),
        ({"trembl/C0/R4": 5}, {"drop_confidence": (4, 5)}, "add 0 to sampling.drop_confidence"),
        ({"swissprot/C1/R4": 5}, {"sources": {"swissprot": 0.5, "trembl": 0.5}}, "trembl"),
        ({"swissprot/C1/R4": 5}, {"sources": {"uniref": 1.0}}, "uniref"),
        ({"swissprot/C1/R4": 5}, {"sources": {"swissprot": -1.0}}, "negative"),
        ({"swissprot/C1/R4": 5}, {"sources": {"swissprot": 0.0}}, "no training records are left"),
        ({"unknown/C0/R0": 5}, {}, "no training records are left"),
        ({"swissprot/C1/R4": 5}, {"without_text": 0.1}, "no training records without text"),
        ({"unknown/C0/R0": 5}, {"without_text": 1.1}, "from 0 to 1"),
    ],
)
def test_mistakes_are_reported_in_one_sentence(sizes, config, message):
    with pytest.raises(UserError, match=message):
        make_sampler(sizes, seed=0, **config)
