"""`python -m eval --claims`: what is claimed, recomputed and judged."""

import json

import pytest

from eval import __main__ as cli
from eval.benchmarks.families import BENCHMARKS
from eval.claims.claims import CLAIMS, CONTROLS, Quantity
from eval.claims.verdict import CONTRADICTED, NOT_TESTABLE, REPRODUCED, UNVERIFIED, judge
from eval.data.base.published import BRIDGE, FINE_TUNING
from eval.data.published import PUBLISHED

MRR = "mrr, reverse kept"
BY_NAME = {claim.name: claim for claim in CLAIMS}
BIOBRIDGE = {
    "prot2bp": 0.136,
    "prot2mf": 0.326,
    "prot2cc": 0.319,
    "prot2drug": 0.172,
    "disease2prot": 0.084,
}
PAPER = {
    "prot2bp": 0.224,
    "prot2mf": 0.475,
    "prot2cc": 0.414,
    "prot2drug": 0.409,
    "disease2prot": 0.161,
}


def result(metric, mean, *, interval=None, whole=True, protocol=FINE_TUNING):
    value = {"mean": mean, "std": None, "interval": interval}
    return {
        "headline": {metric: value},
        "data": {"whole": whole, "sentence": "Half of it."},
        "protocol": protocol,
    }


def mrr(factor, **options):
    """Our numbers, each so many times BioBridge's."""
    return {
        name: result(MRR, factor * value, protocol=BRIDGE, **options)
        for name, value in BIOBRIDGE.items()
    }


def test_each_claim_is_of_known_benchmarks_and_the_last_of_22():
    assert {
        quantity.benchmark for claim in CLAIMS for quantity in claim.quantities
    } <= BENCHMARKS.keys()
    assert len({quantity.benchmark for quantity in BY_NAME["22 benchmarks"].quantities}) == 22
    assert [claim.improvement for claim in CLAIMS] == [0.75, 0.599, 0.397, None]
    assert {row.model for row in PUBLISHED} >= set(CONTROLS)


def test_the_stated_percentage_is_recomputed_from_published_numbers():
    judged = judge(BY_NAME["cross-modal"], {}, {})
    expected = sum(PAPER[name] / BIOBRIDGE[name] - 1 for name in PAPER) / 5
    assert judged.published_improvement == pytest.approx(expected)
    assert 0.73 < expected < 0.75


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        (mrr(1.80), REPRODUCED),
        (mrr(1.70), CONTRADICTED),
        # The interval reaches 75 %.
        (
            {
                name: result(MRR, 1.7 * value, protocol=BRIDGE, interval=[value, 1.8 * value])
                for name, value in BIOBRIDGE.items()
            },
            REPRODUCED,
        ),
        (mrr(1.80, whole=False), NOT_TESTABLE),
        (mrr(1.80) | {"prot2drug": {"missing": "drug.npz is missing"}}, NOT_TESTABLE),
    ],
)
def test_a_mean_improvement_is_judged_by_the_mean(results, verdict):
    judged = judge(BY_NAME["cross-modal"], results, {})
    assert judged.verdict == verdict
    if verdict != NOT_TESTABLE:
        assert judged.our_improvement.mean == pytest.approx(
            results["prot2bp"]["headline"][MRR]["mean"] / 0.136 - 1
        )


def test_one_benchmark_above_and_another_below_count_by_their_mean():
    results = mrr(1.70) | {"prot2bp": result(MRR, 0.136 * 2.0, protocol=BRIDGE)}
    assert judge(BY_NAME["cross-modal"], results, {}).verdict == REPRODUCED


def test_a_number_by_another_protocol_is_no_test():
    probed = go_cc(0.1, 0.1)
    probed["go_cc"]["protocol"] = "frozen probe"
    judged = judge(BY_NAME["GO-CC"], probed, {})
    assert judged.verdict == NOT_TESTABLE
    assert (
        "by another protocol (frozen probe) than the published number (fine-tuning)"
        in judged.because
    )


def go_cc(aupr, fmax):
    one = result("aupr", aupr)
    one["headline"] |= result("fmax", fmax)["headline"]
    return {"go_cc": one}


@pytest.mark.parametrize(
    ("aupr", "fmax", "verdict"),
    [
        (0.582, 0.541, REPRODUCED),
        (0.60, 0.60, REPRODUCED),
        (0.581, 0.60, CONTRADICTED),
        (0.60, None, NOT_TESTABLE),
    ],
)
def test_without_a_verified_baseline_the_papers_own_number_is_to_be_reached(aupr, fmax, verdict):
    judged = judge(BY_NAME["GO-CC"], go_cc(aupr, fmax), {})
    assert judged.verdict == verdict
    assert judged.published_improvement is None
    assert ("go_cc aupr" in judged.because) == (verdict == CONTRADICTED)


def test_to_be_the_best_is_to_reach_the_best_of_others():
    claim = BY_NAME["22 benchmarks"]
    assert Quantity("go_mf", "fmax").of_others.value == max(0.668, 0.662)
    judged = judge(claim, {"go_mf": result("fmax", 0.667)}, {})
    assert (judged.verdict, judged.because) == (
        CONTRADICTED,
        "below the published number: go_mf fmax",
    )
    judged = judge(claim, {"go_mf": result("fmax", 0.668)}, {})
    assert judged.verdict == NOT_TESTABLE
    rows = {row.quantity: row for row in judged.rows}
    assert rows[Quantity("go_mf", "fmax")].verdict == REPRODUCED
    # Composition is published for it, as a control: nobody's best model.
    unknown = rows[Quantity("similarity_mf", "500_cosine")]
    assert (unknown.verdict, unknown.because) == (NOT_TESTABLE, UNVERIFIED)


def run(*arguments):
    return cli.main(["--claims", *(str(argument) for argument in arguments)])


@pytest.fixture
def checkpoint(tmp_path):
    """A folder with a report on some of the benchmarks."""
    folder = tmp_path / "run"
    (folder / "eval").mkdir(parents=True)
    report = {"provenance": {}, "benchmarks": mrr(1.8) | {"go_cc": result("aupr", 0.3)}}
    (folder / "eval/report.json").write_text(json.dumps(report))
    return folder


def test_the_command_prints_a_table_and_keeps_both_forms(checkpoint, tmp_path, capsys):
    assert run("--checkpoint", checkpoint, "--output", tmp_path / "out") == 0
    page = capsys.readouterr().out
    assert page.strip() == (tmp_path / "out/claims.md").read_text().strip()
    kept = json.loads((tmp_path / "out/claims.json").read_text())
    assert kept["checkpoint"] == str(checkpoint)
    verdicts = {claim["name"]: claim["verdict"] for claim in kept["claims"]}
    assert verdicts == {
        "cross-modal": REPRODUCED,
        "GO-CC": CONTRADICTED,
        "GO-BP": NOT_TESTABLE,
        "22 benchmarks": NOT_TESTABLE,
    }
    assert "| +75.0 % | +73.9 % | +80.0 % | reproduced |" in page
    assert "go\\_bp: missing: nrPDB-GO" in page
    drug = kept["claims"][0]["numbers"][3]
    assert (drug["baseline"]["model"], drug["baseline"]["value"], drug["paper"]["value"]) == (
        "BioBridge",
        0.172,
        0.409,
    )
    assert "Table 4" in drug["paper"]["source"]


def test_without_a_checkpoint_everything_is_there_but_our_numbers(capsys):
    assert run() == 0
    page = capsys.readouterr().out
    assert "missing: --checkpoint DIR" in page
    assert UNVERIFIED in page
    assert "reproduced" not in page


def test_the_data_folder_says_which_file_is_missing(checkpoint, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    entry = {
        "format": "deepfri",
        "annotations": "annot.tsv",
        "train": "train.txt",
        "sequences": ["seq.fasta"],
    }
    (data / "benchmarks.json").write_text(json.dumps({"go": entry}))
    assert run("--checkpoint", checkpoint, "--data_dir", data) == 0
    assert "annot.tsv, annotations of go\\_bp, does not exist" in capsys.readouterr().out


def test_the_report_of_a_file_of_vectors_counts_too(tmp_path, capsys):
    (tmp_path / "x.h5.eval").mkdir()
    report = {"benchmarks": {"go_cc": result("fmax", 0.6)}}
    (tmp_path / "x.h5.eval/report.json").write_text(json.dumps(report))
    assert run("--embeddings", tmp_path / "x.h5") == 0
    assert "| 0.600 (up to 0.600) | reproduced |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "nowhere"], "--checkpoint=nowhere is not a local folder"),
        (
            ["--set", "probe.max_epochs=2"],
            "--set only applies to commands without --claims",
        ),
    ],
)
def test_mistakes_are_one_sentence(arguments, message, capsys):
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


def test_without_claims_something_to_measure_is_required(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "--checkpoint --embeddings is required" in capsys.readouterr().err
