import pytest

from eval.data.published import PUBLISHED, SIZES, completeness, published

BENCHMARKS = {
    *("localisation", "membrane", "ec", "go_mf", "go_bp", "go_cc", "reaction"),
    *("beta_lactamase", "aav", "thermostability", "fluorescence", "stability"),
    *("prot2bp", "prot2mf", "prot2cc", "prot2drug", "disease2prot"),
    "proteingym",
    *("similarity_mf", "similarity_bp", "similarity_cc", "shs27k", "shs148k", "string"),
}
METRICS = {"aupr", "fmax", "mrr, reverse kept", "spearman"}
METRICS |= {
    f"spearman, {function}"
    for function in ("Activity", "Binding", "Expression", "OrganismalFitness", "Stability")
}
METRICS |= {
    f"{which}_{measure}"
    for which in ("500", "200", "sparse")
    for measure in ("cosine", "manhattan")
}


def test_every_number_is_of_a_known_benchmark_once_and_has_a_source():
    assert {row.benchmark for row in (*PUBLISHED, *SIZES)} <= BENCHMARKS
    assert {row.metric for row in PUBLISHED} <= METRICS
    assert all(-1 <= row.value <= 1 and row.source for row in PUBLISHED)
    assert len({row[:3] for row in PUBLISHED}) == len(PUBLISHED)


@pytest.mark.parametrize(
    ("benchmark", "model", "metric", "value"),
    [
        ("ec", "ProtCLIP", "aupr", 0.906),
        ("go_bp", "ProtCLIP", "fmax", 0.574),
        ("go_mf", "ProtCLIP", "aupr", 0.696),
        ("go_cc", "ProtCLIP", "fmax", 0.541),
        ("prot2drug", "ProtCLIP", "mrr, reverse kept", 0.409),
        ("disease2prot", "BioBridge", "mrr, reverse kept", 0.084),
        ("go_mf", "ESM-2", "fmax", 0.662),
        ("similarity_bp", "amino-acid composition (PROBE)", "sparse_cosine", 0.21992),
    ],
)
def test_numbers_stand_with_their_benchmark(benchmark, model, metric, value):
    assert [
        row.value for row in published(benchmark) if (row.model, row.metric) == (model, metric)
    ] == [value]


def test_a_benchmark_of_which_nothing_is_known_has_no_numbers():
    assert published("thermostability") == []


def test_whole_partial_and_unknown_data_are_told_apart():
    whole = completeness("ec", {"train": 15551, "valid": 1729, "test": 1919})
    assert whole.whole
    assert "DeepFRI" in whole.sentence
    assert completeness("ec", {"train": 15011, "valid": 1664, "test": 1840}).whole
    part = completeness("ec", {"train": 15551, "valid": 1729, "test": 1388})
    assert part.whole is False
    assert "test 1,388 instead of 1,919" in part.sentence
    assert (
        "valid 0 instead of 520"
        in completeness("beta_lactamase", {"train": 4158, "test": 520}).sentence
    )
    assert completeness("aav", {"train": 1}).whole is None


def test_graphs_and_similarities_have_sizes_of_their_own():
    assert completeness("shs27k", {"proteins": 1690, "pairs": 7624}).whole
    assert completeness("shs27k", {"proteins": 1690, "pairs": 7000}).whole is False
    assert completeness(
        "similarity_mf", {"500": 497 * 496 // 2, "200": 200 * 199 // 2, "sparse": 246}
    ).whole
    assert completeness("similarity_cc", {"sparse": 245}).whole is False
