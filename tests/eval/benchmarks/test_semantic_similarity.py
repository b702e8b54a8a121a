import csv
import gzip
import itertools

import numpy as np
import pytest
import scipy.special
import scipy.stats
from sklearn.metrics.pairwise import cosine_similarity

from eval.benchmarks.semantic_similarity import MEASURES, agreement, agreements, pair_similarity
from eval.data.base.task import SimilarityTable
from eval.metrics import correlation_p_value
from eval.metrics.statistics import bootstrap_metric


def table(pairs, similarity, *, count, which="500"):
    names = [f"P{i:05}" for i in range(count)]
    pairs = np.asarray(pairs, np.int32).reshape(-1, 2)
    return SimilarityTable(
        "MF", which, names, ["M"] * count, pairs, np.asarray(similarity, np.float64), [], []
    )


def all_pairs(count):
    return np.stack(np.triu_indices(count, k=1), axis=1)


def probe(embeddings, pairs, lin):
    """PROBE's steps, pair by pair: (correlation, p-value) by cosine and by Manhattan similarity."""
    rows = {"cosine": [], "manhattan": []}
    for i, j in pairs:
        a, b = embeddings[i], embeddings[j]
        rows["cosine"].append(cosine_similarity([a], [b]).item())
        norms = np.linalg.norm(a, 1) + np.linalg.norm(b, 1)
        rows["manhattan"].append(
            1 - scipy.spatial.distance.cityblock(a, b) / norms if norms else 1.0
        )
    return {measure: scipy.stats.spearmanr(values, lin) for measure, values in rows.items()}


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("seed", range(3))
def test_result_is_probes(measure, seed):
    rng = np.random.default_rng(seed)
    embeddings, pairs = rng.normal(size=(14, 5)), all_pairs(14)
    embeddings[3] = embeddings[5] = 0
    lin = np.round(rng.random(len(pairs)), 1)
    result = agreement(embeddings, table(pairs, lin, count=14), measure=measure, resamples=20)
    expected = probe(embeddings, pairs, lin)[measure]
    assert result.correlation == pytest.approx(expected.statistic, abs=1e-12)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    assert (result.pairs, result.proteins) == (91, 14)


def test_similarities_by_hand():
    embeddings = np.array([[1.0, 2.0], [3.0, -4.0], [0.0, 0.0], [0.0, 0.0]])
    pairs = np.array([[0, 1], [0, 2], [2, 3], [1, 1]])
    np.testing.assert_allclose(
        pair_similarity(embeddings, pairs, measure="cosine"), [-1 / np.sqrt(5), 0, 0, 1]
    )
    np.testing.assert_allclose(
        pair_similarity(embeddings, pairs, measure="manhattan"), [1 - 8 / 10, 0, 1, 1]
    )


def test_a_monotone_similarity_agrees_perfectly():
    """Positive numbers a < b on a line have the Manhattan similarity 2a / (a + b), and all the
    cosine 1."""
    numbers = np.random.default_rng(0).random(40) + 0.1
    pairs = all_pairs(40)
    low, high = np.sort(numbers[pairs], axis=1).T
    for lin, expected in ((low / high, 1.0), (high / low, -1.0)):
        result = agreement(
            numbers[:, None], table(pairs, lin, count=40), measure="manhattan", resamples=50
        )
        assert (result.correlation, result.p_value, result.interval) == (
            expected,
            0.0,
            (expected, expected),
        )
    constant = agreement(
        numbers[:, None] * 0 + 1, table(pairs, low, count=40), measure="cosine", resamples=50
    )
    assert np.isnan([constant.correlation, constant.p_value, *constant.interval]).all()


@pytest.mark.parametrize("r", [0.0, 0.5, -0.8])
def test_correlation_of_a_gaussian_copula(r):
    """Pairs of proteins of their own, whose similarities are normal variables correlated by r:
    Spearman's is 6/π·asin(r/2)."""
    rng = np.random.default_rng(1)
    x, y = rng.multivariate_normal([0, 0], [[1, r], [r, 1]], size=3000).T
    # Unit vectors at an angle whose cosine rises with x.
    angles = np.pi * (1 - scipy.special.ndtr(x))
    embeddings = np.zeros((6000, 2))
    embeddings[::2, 0] = 1
    embeddings[1::2] = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    lin = scipy.special.ndtr(y)
    result = agreement(
        embeddings,
        table(np.arange(6000).reshape(-1, 2), lin, count=6000),
        measure="cosine",
        resamples=200,
    )
    expected = 6 / np.pi * np.arcsin(r / 2)
    assert result.correlation == pytest.approx(expected, abs=3 / np.sqrt(3000))
    assert result.interval[0] < result.correlation < result.interval[1]


def test_interval_over_proteins_is_wider_than_over_pairs():
    """Similarities that come from each protein's own effect: a few proteins decide, however many
    pairs they are in."""
    rng = np.random.default_rng(2)
    pairs, effects = all_pairs(30), rng.random((30, 1)) + 0.1
    lin = np.sort(effects[pairs, 0], axis=1) @ [1.0, -0.5] + 0.4 * rng.normal(size=30)[pairs].sum(1)
    over_proteins = agreement(effects, table(pairs, lin, count=30), measure="manhattan").interval
    similarity = pair_similarity(effects, pairs, measure="manhattan")
    over_pairs = bootstrap_metric(
        lambda a, b: scipy.stats.spearmanr(a, b).statistic, similarity, lin, resamples=300
    )
    assert over_proteins[1] - over_proteins[0] > 2 * (over_pairs[1] - over_pairs[0])


def test_proteins_drawn_twice_are_not_paired_with_themselves():
    """Three proteins: a resample of one protein alone has no pair, so that its correlation is
    undefined, not perfect."""
    rng = np.random.default_rng(3)
    embeddings, pairs = rng.random((3, 4)), all_pairs(3)
    result = agreement(embeddings, table(pairs, rng.random(3), count=3), measure="cosine")
    assert np.isnan(result.interval).all()


def test_left_out_pairs_are_counted():
    embeddings = {"P00000": np.ones(2), "P00001": np.arange(2.0), "P00002": np.array([3.0, 1.0])}
    pairs = [[0, 0], [0, 1], [0, 2], [1, 2], [1, 3], [3, 3]]
    tables = [
        table(pairs, np.linspace(0, 1, 6), count=4, which=which) for which in ("500", "sparse")
    ]
    results = agreements(embeddings, tables)
    assert sorted(results) == ["500_cosine", "500_manhattan", "sparse_cosine", "sparse_manhattan"]
    result = results["sparse_manhattan"]
    assert (result.pairs, result.proteins, result.self_pairs, result.without_embedding) == (
        3,
        3,
        2,
        1,
    )
    assert result.correlation == pytest.approx(
        probe([*embeddings.values()], pairs[1:4], [0.2, 0.4, 0.6])["manhattan"].statistic
    )


def test_nothing_at_hand_is_undefined():
    result = agreements({}, [table([[0, 1]], [0.5], count=2)])["500_cosine"]
    assert (result.pairs, result.proteins, result.without_embedding) == (0, 0, 1)
    assert np.isnan([result.correlation, result.p_value, *result.interval]).all()


def published_rows(real_data):
    """PROBE's own table: (representation and set, aspect, correlations and p-values by measure)."""
    name = ""
    with open(real_data / "probe" / "Similarity_Table.csv", newline="") as file:
        for row in list(csv.reader(file))[1:]:
            if not row[1]:
                name = row[0]
            else:
                yield (
                    name,
                    row[1],
                    [(float(row[position]), float(row[position + 1])) for position in (2, 4)],
                )


def test_published_p_values_are_of_unordered_pairs_without_self_pairs(real_data):
    """What PROBE published for representations of every protein: n(n − 1)/2 pairs, and of the
    sparse sets those with i < j."""
    sizes = {"200": dict.fromkeys(("MF", "BP", "CC"), 200 * 199 // 2)}
    sizes["500"] = {"MF": 497 * 496 // 2, "BP": 497 * 496 // 2, "CC": 495 * 494 // 2}
    sizes["Sparse"] = {}
    for aspect in ("MF", "BP", "CC"):
        first, second = np.load(
            real_data / "probe" / f"SparsifiedSimilarityCoordinates_{aspect}_for_highest_500.npy"
        ).T
        sizes["Sparse"][aspect] = int(np.sum(first < second))
    assert sizes["Sparse"] == {"MF": 246, "BP": 247, "CC": 245}
    checked = 0
    for name, aspect, values in published_rows(real_data):
        if name in ("Apaac_200", "Apaac_500", "Apaac_Sparse"):
            for correlation, p_value in values:
                assert correlation_p_value(
                    correlation, sizes[name.split("_")[1]][aspect]
                ) == pytest.approx(p_value, rel=1e-6)
                checked += 1
    assert checked == 18


def test_sparse_set_with_the_composition_of_other_proteins(real_data):
    """The real sparse pairs of MF; which proteins they are is not known, so other human ones
    correlate by chance alone."""
    pairs = np.load(real_data / "probe" / "SparsifiedSimilarityCoordinates_MF_for_highest_500.npy")
    lin = np.load(real_data / "probe" / "SparsifiedSimilarites_for_highest_500.npy")
    with gzip.open(real_data / "ppi" / "protein.SHS27k.sequences.dictionary.tsv.gz", "rt") as file:
        sequences = [line.split("\t")[1].strip() for line in itertools.islice(file, 497)]
    letters = "ACDEFGHIKLMNPQRSTVWY"
    counts = np.array([list(map(sequence.count, letters)) for sequence in sequences])
    composition = counts / np.array([len(sequence) for sequence in sequences])[:, None]
    for measure in MEASURES:
        result = agreement(
            composition, table(pairs, lin, count=497, which="sparse"), measure=measure
        )
        assert (result.pairs, result.self_pairs, result.without_embedding) == (246, 1, 0)
        assert result.p_value > 0.001
        assert result.interval[0] < 0 < result.interval[1]
