"""The statistics of the evidence: intervals that cover what they should, Holm's correction,
verdicts."""

import dataclasses

import numpy as np
import pytest

from benchmarks.evidence import __main__ as command
from benchmarks.evidence import figures, plan, results, runs
from benchmarks.evidence.intervals import (
    Estimate,
    cluster_draws,
    estimate,
    mean_average_precision,
    replicate_map,
    replicate_means,
    verdict,
)
from benchmarks.evidence.measure import Measured
from benchmarks.evidence.plan import Arm, Study
from benchmarks.evidence.training_records import training
from benchmarks.real.intervals import over_clusters
from data_pipelines.protanno.dataset import open_dataset
from eval.pretraining import trained_baselines


def test_clusters_are_drawn_whole():
    values = np.repeat([0.0, 1.0, 5.0], [10, 20, 1])
    means = replicate_means(
        values, np.repeat([0, 1, 2], [10, 20, 1]), cluster_draws(3, seed=0, replicates=4000)
    )
    # By hand: of three clusters all 27 draws are as likely.
    sums, counts = np.array([0.0, 20.0, 5.0]), np.array([10, 20, 1])
    draws = np.array([(a, b, c) for a in range(3) for b in range(3) for c in range(3)])
    expected = sums[draws].sum(1) / counts[draws].sum(1)
    assert means.mean() == pytest.approx(expected.mean(), abs=0.05)
    assert np.isin(means.round(9), expected.round(9)).all()


def test_a_replicate_without_a_cluster_that_counts_is_no_number():
    draws = np.array([[2, 0], [0, 2], [1, 1]])
    found = replicate_means(np.array([1.0, 3.0]), np.array([0, 0]), draws)
    np.testing.assert_array_equal(found, [2.0, np.nan, 2.0])


def test_intervals_cover_at_about_their_level():
    """True mean 0, spread between seeds, between clusters and within them: 12 seeds cover it in
    about 95 of 100."""
    rng = np.random.default_rng(1)
    covered, clusters = 0, np.repeat(np.arange(30), 4)
    for trial in range(120):
        points, replicates = [], []
        for seed in range(12):
            values = rng.normal(0, 0.5) + rng.normal(0, 1, 30)[clusters] + rng.normal(0, 1, 120)
            points.append(values.mean())
            replicates.append(
                replicate_means(values, clusters, cluster_draws(30, seed=12 * trial + seed))
            )
        low, high = estimate(points, replicates).interval
        covered += low <= 0 <= high
    assert 0.87 * 120 <= covered <= 120


def test_intervals_surround_the_value_where_replicates_are_shifted():
    rng = np.random.default_rng(0)
    replicates = [0.3 + rng.normal(0, 0.1, 200), 0.6 + rng.normal(0, 0.1, 200)]
    shifted = [each + 0.4 for each in replicates]
    found, expected = (estimate((0.3, 0.6), each) for each in (shifted, replicates))
    np.testing.assert_allclose(found.interval, expected.interval, atol=1e-12)
    assert found.interval[0] < found.mean < found.interval[1]
    low, high = over_clusters(0.3, shifted[0]).interval
    assert (low + high) / 2 == pytest.approx(0.3, abs=0.02)


def test_p_is_small_where_the_interval_is_far_from_zero_and_never_zero():
    rng = np.random.default_rng(2)
    far = estimate([1.0] * 5, [rng.normal(1, 0.1, 500) for _ in range(5)])
    assert 0 < far.p < 0.001
    assert far.mean == 1.0
    near = estimate([0.0] * 5, [rng.normal(0, 0.1, 500) for _ in range(5)])
    assert near.p > 0.3


def test_map_of_resampled_proteins():
    rng = np.random.default_rng(3)
    answered = rng.random((6, 40)) < 0.3
    good, bad = answered + rng.normal(0, 0.5, answered.shape), rng.normal(size=answered.shape)
    clusters, draws = np.arange(40) // 2, cluster_draws(20, seed=0, replicates=100)
    found = replicate_map(good, answered, clusters, draws) - replicate_map(
        bad, answered, clusters, draws
    )
    point = mean_average_precision(good, answered) - mean_average_precision(bad, answered)
    assert found.mean() == pytest.approx(point, abs=0.08)
    assert found.min() > 0
    once = replicate_map(good, answered, clusters, np.ones((1, 20), int))
    assert once == pytest.approx([mean_average_precision(good, answered)])


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


def measured(value):
    return {"mrr": Measured(value, np.full(200, value))}


def test_models_are_compared_over_the_seeds_that_both_have(tmp_path):
    for seed, (first, second) in {11: (0.5, 0.2), 12: (0.7, 0.3), 13: (0.9, None)}.items():
        runs.keep(runs.kept(tmp_path, "demo", seed, "ours"), measured(first))
        if second is not None:
            runs.keep(runs.kept(tmp_path, "demo", seed, "linear"), measured(second))
    found = results.endpoint_estimate(tmp_path, plan.PRIMARY["demo_mrr"])
    assert found.by_seed == pytest.approx((0.3, 0.4))
    assert found.mean == pytest.approx(0.35)
    row = results.verdicts(tmp_path)["demo_mrr"]
    # All draws are above zero, so p is twice one of 10,001; the other five endpoints count although
    # they are not measured.
    assert row["adjusted_p"] == pytest.approx(6 * 2 / 10_001)
    assert row["verdict"] == "positive"
    page = results.write(tmp_path, tmp_path / "out")
    assert "| 2 | 0.350 [0.300, 0.400] | 0.00120 | **positive** |" in page
    # The other endpoints, and the control of sampling.
    assert page.count("not measured") == len(plan.PRIMARY)


def test_the_control_of_sampling_stands_beside_its_endpoint(tmp_path):
    for seed in (21, 22):
        for name, value in {"linear_paper": 0.9, "linear_uniform": 0.5}.items():
            found = {"map": Measured(value, np.full(200, value))}
            runs.keep(runs.kept(tmp_path, "sampling_control", seed, name), found)
    assert results.control_line(tmp_path) == "0.400 [0.400, 0.400], 2 seeds"


def test_places_stand_beside_their_controls(tmp_path):
    for seed, value in {11: 0.7, 12: 0.9}.items():
        found = {"place_function": value, "place_function_over_text_free_tagger": value - 1}
        constant = {name: Measured(number, np.full(200, number)) for name, number in found.items()}
        runs.keep(runs.kept(tmp_path, "demo", seed, "ours"), constant)
    table = results.places_table(tmp_path, "demo", plan.STUDIES["demo"])
    assert "| ours | function | 2 | 0.800 [0.700, 0.900] |  | -0.200 [-0.300, -0.100] |  |" in table
    assert "| ours | location | 2 |  |  |  |  |" in table


def test_ablations_are_compared_with_the_whole_recipe_on_their_own_seeds(tmp_path):
    for seed, value in {11: 0.5, 12: 0.6, 13: 0.7, 14: 5.0}.items():
        runs.keep(runs.kept(tmp_path, "demo", seed, "ours"), measured(value))
    for seed, value in {11: 0.4, 12: 0.4, 13: 0.7}.items():
        runs.keep(runs.kept(tmp_path, "ablations", seed, "without_pda"), measured(value))
    described = results.DESCRIBED["Our recipe with one part left out"]
    table = results.differences_table(tmp_path, described)
    (row,) = [line for line in table.splitlines() if "| mrr" in line]
    # By hand: (-0.1 - 0.2 + 0) / 3.
    assert row == "| mrr | -0.100 [-0.200, 0.00] |  |  |  |"


def test_what_is_described_is_measured():
    for described in results.DESCRIBED.values():
        study, reference = described.reference
        for of, name in [(study, reference), *((described.study, one) for one in described.models)]:
            assert name in {**plan.STUDIES[of].networks, **plan.STUDIES[of].linear}
        # Differences are paired by seed.
        assert set(plan.STUDIES[described.study].seeds) <= set(plan.STUDIES[study].seeds)


def test_the_learning_curve_has_every_run_and_its_controls(tmp_path):
    by_model = {("demo", "ours"): 0.5, ("demo", "linear"): 0.6, ("demo", "judge"): 0.7}
    for steps in plan.CURVE_STEPS:
        by_model["demo_steps", f"ours_{steps}"] = steps / 10_000
    for (study, model), value in by_model.items():
        assert figures.steps_curve(tmp_path) is None, "not every run is measured"
        for seed in plan.CURVE_SEEDS:
            found = measured(value)
            if model != "judge":
                found["map"] = Measured(value, np.full(200, value))
            runs.keep(runs.kept(tmp_path, study, seed, model), found)
    mrr, questions = figures.steps_curve(tmp_path).axes
    lines = {line.get_label(): line for line in mrr.get_lines()}
    network = lines["network, a line per seed"]
    assert list(network.get_xdata()) == [450, 900, 1800, 3600]
    assert list(network.get_ydata()) == [0.045, 0.5, 0.18, 0.36]
    assert list(lines["linear model"].get_ydata()) == pytest.approx([0.6, 0.6])
    assert list(lines["judge (ceiling)"].get_ydata()) == pytest.approx([0.7, 0.7])
    assert len(questions.get_lines()) == len(plan.CURVE_SEEDS) + 1


def test_the_plan_names_models_that_are_trained():
    assert len(plan.PRIMARY) <= 6
    for study in plan.STUDIES.values():
        assert not set(study.seeds) & set(plan.TUNING_SEEDS)
    for endpoint in plan.PRIMARY.values():
        study = plan.STUDIES[endpoint.study]
        known = {"", *study.networks, *study.linear}
        assert {endpoint.first, endpoint.second} <= known
        assert endpoint.quantity in results.QUANTITIES[endpoint.study]


def test_shares_by_records_leave_out_what_is_dropped(dataset_of_clusters):
    fields = {"sampling.drop_confidence": (4,), "sampling.drop_coverage": (), **plan.BY_RECORDS}
    found = runs.resolved(fields, dataset_of_clusters)
    assert found["sampling.sources.swissprot"] == 7.0
    assert found["sampling.sources.trembl"] == 5.0
    by_default = runs.resolved(plan.BY_RECORDS, dataset_of_clusters)
    assert by_default["sampling.sources.trembl"] == 3.0


def test_a_study_may_learn_from_fewer_records(sample_dataset, tmp_path):
    (tmp_path / "protanno").symlink_to(sample_dataset / "protanno")
    whole = plan.STUDIES["sampling"]
    assert runs.training_data(tmp_path, whole) == tmp_path / "protanno"
    few = dataclasses.replace(whole, training_records=30)
    found = open_dataset(runs.training_data(tmp_path, few))
    assert sum(map(len, training(found))) == 30


@pytest.fixture
def dataset_of_clusters():
    sizes = {
        "swissprot_c1_r4": 4,
        "swissprot_c4_r1": 3,
        "trembl_c3_r4": 3,
        "trembl_c3_r1": 2,
        "trembl_c4_r4": 9,
    }
    return type("Dataset", (), {"splits": {name: range(size) for name, size in sizes.items()}})()


def test_seeds_that_are_not_announced_are_refused(tmp_path, capsys):
    assert (
        command.main(["--folder", str(tmp_path), "--studies", "demo", "--test", "--seeds", "1"])
        == 2
    )
    assert "seed 1 is not an announced seed; choose from 11, 12" in capsys.readouterr().err


@pytest.fixture
def tiny(monkeypatch):
    """A study that takes seconds."""
    few = {
        "total_steps": 2,
        "eval_every": 2,
        "checkpoint_every": 2,
        "log_every": 1,
        "batch.rows": 8,
    }
    networks = {"ours": Arm("configs/quickstart.py", few)}
    study = Study("demo", 400, networks, {"linear": plan.SOME})
    monkeypatch.setitem(plan.STUDIES, "demo", study)
    monkeypatch.setattr(trained_baselines, "LEARNING_RATES", (0.01,))


@pytest.mark.soak
def test_a_study_is_trained_measured_and_not_repeated(tiny, tmp_path, capsys):
    line = ["--folder", str(tmp_path), "--studies", "demo", "--seeds", "1", "2"]
    assert command.main(line) == 0
    kept = sorted(path.name for path in (tmp_path / "validation").iterdir())
    assert kept == [
        f"demo_{seed}_{model}.json" for seed in (1, 2) for model in ("judge", "linear", "ours")
    ]
    found = runs.read_kept(tmp_path / "validation" / "demo_1_ours.json")
    assert {"mrr", "map", "map_ligand", "swap"} <= found.keys()
    assert all(each.replicates.shape == (200,) for each in found.values())
    for path in (tmp_path / "worlds").glob("*/vocab.txt"):
        path.unlink()
    assert command.main(line) == 0
    assert not list((tmp_path / "worlds").glob("*/vocab.txt"))


def test_linear_models_and_the_judge_of_a_study(tiny, tmp_path, capsys):
    assert (
        command.main(
            ["--folder", str(tmp_path), "--studies", "demo", "--seeds", "1", "--linear_only"]
        )
        == 0
    )
    judge = runs.read_kept(tmp_path / "validation" / "demo_1_judge.json")["mrr"].value
    linear = runs.read_kept(tmp_path / "validation" / "demo_1_linear.json")["mrr"].value
    assert 0 < linear < judge < 1
