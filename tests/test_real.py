"""The small model for real proteins: its two-minute form from data to verdicts, and what the
plan promises."""

import json
import shutil

import numpy as np
import pytest

from benchmarks.evidence.measure import Measured
from benchmarks.evidence.training_records import records, smaller, training
from benchmarks.real import __main__ as command
from benchmarks.real import arm_tables, plan, planted, public, results
from benchmarks.real.datasets import outside_set, read_functions
from benchmarks.real.intervals import over_clusters
from benchmarks.real.kept import PROBE, SEGMENTS, Run, outside_name
from benchmarks.real.measure import remote
from benchmarks.real.residue_entropy import cross_entropies
from benchmarks.real.segments import RealSegments, folds_of
from configs import protclip_small
from data_pipelines.build import __main__ as build
from data_pipelines.protanno.clusters import TEST, VALIDATION
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.sample import __main__ as sample
from eval.data import manifest
from eval.pretraining import trained_baselines
from protclip_jax.config.checks import check
from tests.support import real_folder
from tests.support.fakes import Ignorant, Oracle


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """A folder of generated data, and the accessions that no model may learn."""
    folder = tmp_path_factory.mktemp("real")
    assert sample.main(["--output", str(folder / "sample"), "--records", "1200"]) == 0
    files = [
        "--input",
        str(folder / "sample" / "sample.dat.gz"),
        "--clusters",
        str(folder / "sample" / "clusters.tsv"),
    ]
    assert (
        build.main([*files, "--skip_overlap", "--output", str(folder / "sample" / "protanno")]) == 0
    )
    return folder / "data", real_folder.write(folder / "data", folder / "sample")


def test_two_minutes_from_data_to_verdicts(real, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(trained_baselines, "LEARNING_RATES", (0.01,))
    data, near = real
    folder = tmp_path / "unsearched"
    line = ["--data_dir", str(data), "--folder", str(tmp_path), "--form", "two_minutes"]
    line += ["--test", str(data / "outside.jsonl.gz")]
    assert command.main(line) == 0
    printed = capsys.readouterr().err
    assert (folder / f"real_{TEST}.png").exists()
    verdicts = json.loads((folder / "real.json").read_text())
    assert verdicts[TEST].keys() == plan.PRIMARY.keys()
    # Five of the outside proteins are the dataset's own; those that it learns from are left out.
    assert f"of {real_folder.OUTSIDE + 5} proteins are measured" in printed
    run = Run(folder / "results", "two_minutes", 0)
    name = outside_name(data / "outside.jsonl.gz")
    for split in (VALIDATION, TEST, name):
        assert {"linear model", "3-mers", "label prior"} < set(run.baselines(split))
        assert {"p2t_mrr", "map_location", "map_enzyme"} <= run.found(split, "main").keys()
    assert "map_go" in run.found(TEST, "main")
    measured = run.found(TEST, "planted")
    assert {"map_planted_block_over_chance", "map_planted_over_chance"} <= measured.keys()
    assert {"linear_map_planted_block", "linear_map_planted"} <= measured.keys()
    assert run.models(PROBE) == ["main", "masked_only", "random_weights"]
    assert run.models(SEGMENTS) == ["main", "random_weights"]
    assert {"p2t_mrr", "linear_p2t_mrr"} <= run.found(TEST, "curve_1k").keys()
    assert "| 1,000 | linear model |" in (folder / "real.md").read_text()
    assert "place_function_over_text_free_tagger" in run.found(SEGMENTS, "main")

    dataset = open_dataset(folder / "protanno")
    learnt = {record.accession for split in dataset.splits.values() for record in split}
    assert not learnt & set(near)
    assert sum(len(split) for name, split in dataset.splits.items() if name.endswith("_r0")) > 0
    outside = open_dataset(folder / name / "records")
    assert sum(map(len, outside.splits.values())) == real_folder.OUTSIDE + 5

    shutil.rmtree(folder / "runs")
    page = (folder / "real.md").read_text()
    assert command.main(line) == 0
    assert not (folder / "runs").exists()
    assert (folder / "real.md").read_text() == page


def test_a_smaller_dataset_has_the_same_tests_and_bands(real, tmp_path):
    source = real[0].parent / "sample" / "protanno"
    whole, small = (
        open_dataset(path) for path in (source, smaller(source, 30, tmp_path / "small"))
    )
    assert sum(map(len, training(small))) == 30
    for split in (VALIDATION, TEST):
        assert list(small.splits[split]) == list(whole.splits[split])
    assert small.nearest() == whole.nearest()
    assert small.fingerprint != whole.fingerprint


def test_bands_of_an_outside_set_are_those_of_its_hits(real, tmp_path):
    data, _ = real
    dataset = open_dataset(data.parent / "sample" / "protanno")
    far = tmp_path / "far.jsonl"
    far.write_text(
        "".join(
            f'{{"accession": "L{place}", "sequence": "{"MKW" * (20 + place)}"}}\n'
            for place in range(3)
        )
    )
    target = next(record.accession for record in records(training(dataset)) if record.name)
    hits = tmp_path / "hits.m8"
    hits.write_text(
        f"L0\t{target}\t0.25\t0.9\t0.9\t1e-9\t80\nL1\t{target}\t0.9\t0.3\t0.9\t1e-9\t80\n"
    )
    found = outside_set(far, tmp_path / "outside", dataset, hits)
    names = ["L0", "L1", "L2"]
    assert sorted(record.accession for record in found.splits[TEST]) == names
    # The hit of L1 covers too little of it.
    assert remote(found, names).tolist() == [False, True, True]


def test_go_asks_for_functions_by_name(real):
    data, _ = real
    found = read_functions(data / "bench")
    assert {f"FUNCTION: digit {digit} binding." for digit in range(10)} == found.keys()
    assert found["FUNCTION: digit 3 binding."] < found["FUNCTION: digit 0 binding."]
    assert read_functions(data) == {}


def test_the_manifest_has_the_benchmarks_whose_files_are_there(real, tmp_path):
    data, _ = real
    assert public.write_manifest(data / "bench", tmp_path) == ["localisation_scl2205"]
    assert len(manifest.load(tmp_path, "localisation_scl2205").splits["train"]) > 100
    for name in public.ENTRIES["fluorescence"].values():
        if name.endswith(".gz"):
            (tmp_path / name).touch()
    assert public.write_manifest(tmp_path, tmp_path) == ["fluorescence", "variants_fluorescence"]


def test_every_public_benchmark_has_its_files(real_data, tmp_path):
    names = public.write_manifest(real_data / "real/bench", tmp_path)
    assert {*public.ENTRIES, *(f"variants_{name}" for name in public.ASSAYS)} == set(names)
    found = manifest.survey(tmp_path)
    for name in names:
        assert found[name]
        assert all(path.exists() for path in found[name])
    assert manifest.load(tmp_path, "variants_beta_lactamase").assays


def test_every_stage_and_form_is_a_config():
    for stage in protclip_small.STAGES:
        for form in protclip_small.FORMS:
            check(protclip_small.get_config(f"{stage}-{form}"))
    with pytest.raises(ValueError, match="'contrast-phone'"):
        protclip_small.get_config("contrast-phone")


def test_both_stages_have_the_same_protein_tower():
    first, second = (
        protclip_small.get_config(stage).model.protein.to_dict() for stage in ("masked", "contrast")
    )
    assert first == second


def test_the_plan_compares_models_that_are_trained():
    assert len(plan.PRIMARY) <= 6
    known = {*plan.ARMS, *plan.UNTRAINED, plan.BEST, ""}
    for endpoint in plan.PRIMARY.values():
        assert {endpoint.first, endpoint.second} <= known
    for form in plan.FORMS.values():
        assert plan.MAIN in form.arms


@pytest.fixture
def segments(sample_dataset):
    dataset = open_dataset(sample_dataset / "protanno")
    lines = (sample_dataset / "clusters.tsv").read_text().split()
    clusters = dict(zip(lines[1::2], lines[::2], strict=True))
    folds = folds_of(dataset, clusters)
    return RealSegments(dataset, folds, clusters, replicates=20, seed=0), clusters, dataset


def test_no_tagger_has_learnt_from_the_cluster_of_a_protein_it_is_measured_on(segments):
    measured, clusters, dataset = segments
    tested = []
    for fold in measured._folds:
        splits = fold.baselines.dataset.splits
        by_split = {name: list(records([split])) for name, split in splits.items()}
        own = {clusters[one.accession] for one in by_split.pop(TEST)}
        tested += [one.accession for one in records([splits[TEST]])]
        for others in by_split.values():
            assert others
            assert own.isdisjoint(clusters[one.accession] for one in others)
    annotated = [
        one.accession for split in dataset.splits.values() for one in split if one.features
    ]
    assert sorted(tested) == sorted(annotated)
    assert len(tested) > 100


def test_weights_that_follow_the_own_text_are_found_on_all_annotated_proteins(segments):
    measured, _, dataset = segments
    found = measured.measure(Oracle(dataset))
    for name in ("function", "location", "similarity"):
        assert found[f"place_{name}"].value == 1.0
        # With another text the oracle weighs all residues alike.
        assert found[f"place_{name}_over_other_record_text"].value == pytest.approx(0.5)
        assert 0 <= found[f"place_{name}_over_text_free_tagger"].value < 0.5
    assert found["place_location_over_hydropathy"].value > 0
    # It knows no text for a single place.
    assert found["swap"].value == pytest.approx(0)
    guessed = measured.measure(Ignorant(dataset))
    assert abs(guessed["place_function"].value - 0.5) < 0.05


def constant(value):
    return Measured(value, np.full(plan.REPLICATES, value))


def test_the_best_baseline_is_chosen_on_validation(tmp_path):
    run = Run(tmp_path, "full", 0)
    quantity = "map_location_remote"
    for split, values in {VALIDATION: (0.3, 0.4), TEST: (0.6, 0.2)}.items():
        for model, value in zip(("3-mers", "linear model"), values, strict=True):
            run.keep(split, model, {quantity: constant(value)})
    run.keep(TEST, "main", {quantity: constant(0.5)})
    row = results.verdicts(run, TEST)["location"]
    assert row["against"] == "linear model"
    assert row["mean"] == pytest.approx(0.3)
    assert row["adjusted_p"] == pytest.approx(5 * 2 / (plan.REPLICATES + 1))
    assert row["verdict"] == "positive"


def test_an_ablation_is_a_paired_difference(tmp_path):
    run = Run(tmp_path, "full", 0)
    shared = np.linspace(-1, 1, plan.REPLICATES)
    named = {TEST: ["p2t_mrr"], SEGMENTS: ["place_function", "place_function_over_hydropathy"]}
    for arm, value in ((plan.WHOLE, 0.5), (plan.WITHOUT_PDA, 0.2)):
        for where, names in named.items():
            run.keep(where, arm, dict.fromkeys(names, Measured(value, value + shared)))
    table = arm_tables.ablation_table(run, TEST, ["p2t_mrr", "t2p_mrr"])
    # The draws of both arms vary together, so their difference does not; BSR is not measured.
    assert table.splitlines()[2:] == [
        "| p2t_mrr | 0.300 [0.300, 0.300] |  |",
        "| place_function | 0.300 [0.300, 0.300] |  |",
    ]


def test_the_curve_has_the_linear_model_on_the_same_records(tmp_path):
    run = Run(tmp_path, "full", 0)
    run.keep(TEST, "linear model", {"p2t_mrr": constant(0.4)})
    run.keep(TEST, "curve_1k", {"p2t_mrr": constant(0.1), "linear_p2t_mrr": constant(0.2)})
    run.keep(TEST, "curve_all", {"p2t_mrr": constant(0.3)})
    rows = arm_tables.curve_table(run, TEST, ["p2t_mrr"]).splitlines()[2:]
    assert [row.partition(" [")[0] for row in rows] == [
        "| 1,000 | network | 0.100",
        "| 1,000 | linear model | 0.200",
        "| all | network | 0.300",
        "| all | linear model | 0.400",
    ]


def test_p_is_no_smaller_than_the_replicates_can_tell():
    found = over_clusters(0.09, np.linspace(-0.015, 0.195, 22))
    # By hand: 2 of 22 are at most zero.
    assert found.p == pytest.approx(2 * (2 + 1) / 23)
    assert over_clusters(0.1, np.full(99, 0.1)).p == pytest.approx(2 / 100)


def test_signals_are_planted_by_accession_alone():
    record = open_record("P1", "ACDEFGHIKL" * 6)
    records = [open_record(f"P{number}", "ACDEFGHIKL" * 6) for number in range(400)]
    assert set(map(planted.planted_signal, records)) == {*planted.RESIDUES, None}
    found = planted.plant(record, "nickel")
    assert len(found.sequence) == len(record.sequence)
    assert planted.RESIDUES["nickel"] in found.sequence
    assert found.function == "Binds nickel. Does things."


def open_record(accession, sequence):
    return real_folder.Record(accession, "", "unknown", sequence, 0, "", function="Does things.")


def test_frequencies_of_residues_and_of_pairs():
    found = cross_entropies(["AAAC"], ["AC"])
    # By hand: 3 + 1 of A and 1 + 1 of C among 4 + 20; after A come A twice and C once, plus one
    # each.
    assert found["unigram"] == pytest.approx(-(np.log(4 / 24) + np.log(2 / 24)) / 2)
    assert found["bigram"] == pytest.approx(-np.log(2 / 23))
