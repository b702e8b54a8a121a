import argparse
import dataclasses
import json

import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import claim
from data_pipelines.protanno.dataset import write
from data_pipelines.protanno.record import biotext
from eval import __main__ as cli
from eval import checkpoint_data
from eval.pretraining.evaluations import EVALUATIONS
from eval.pretraining.segment_localisation import SegmentLocalisation
from tests.support.fakes import Ignorant, Oracle
from tests.support.tiny import text_tokenizer

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def workdir(tmp_path, data_dir):
    """The config of a workdir."""
    folder = tmp_path / "run"
    folder.mkdir()
    write_config(folder, data_dir, pda=1.0)
    return folder


def write_history(folder):
    """What training leaves behind besides parameters."""
    metrics = [
        {"step": 10, "loss": 3.0, "loss/gc": 2.0},
        {"step": 10, "eval/retrieval/mrr": 0.2, "eval/retrieval/pool": 40.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in metrics))
    mixture = {"clusters": {"swissprot/C1/R4": {"configured": 1.0, "drawn": 9}}, "total": 9}
    (folder / "mixture.json").write_text(json.dumps(mixture))


def write_config(folder, data_dir, *, pda):
    config = {
        "data": {"dir": data_dir and str(data_dir)},
        "loss": {"pda": pda},
        "evals": {"retrieval": {"pool": 40}},
    }
    (folder / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))


@pytest.fixture
def run(monkeypatch, dataset):
    """The command on fake models: an oracle for the checkpoint, an ignorant one for a folder
    named control."""

    def load(directory, step):
        return (Ignorant if directory.name == "control" else Oracle)(dataset), int(step or 7)

    monkeypatch.setattr(cli, "load", load)
    return lambda *arguments: cli.main([str(argument) for argument in arguments])


def test_demo_report(run, workdir, data_dir, capsys):
    control = workdir.parent / "control"
    control.mkdir()
    write_config(control, data_dir, pda=0.0)
    write_history(workdir)
    assert (
        run("--checkpoint", workdir, "--output", workdir, "--pool", 50, "--control", control) == 0
    )
    printed = [
        line for line in capsys.readouterr().err.splitlines() if line.startswith("evaluation ")
    ]
    count = len(EVALUATIONS)
    assert printed == [
        f"evaluation {number} of {count}: {name}." for number, name in enumerate(EVALUATIONS, 1)
    ]
    report = json.loads((workdir / "report.json").read_text())
    assert report["provenance"]["step"] == 7
    assert {"pool", "p2t_r1", "t2p_r1", "mrr", "kmer"} <= report["retrieval"].keys()
    assert report["bsr"]["recovery_true_text"] == 1.0
    assert report["bsr"]["recovery_shuffled_text"] == 0.0
    assert report["pda"]["auroc"] == {"function": 1.0, "location": 1.0, "similarity": 1.0}
    assert set(report["pda"]["verdict"].values()) == {"above its controls"}
    assert report["pda"]["auroc_without_pda"]["function"] == pytest.approx(0.5, abs=0.1)
    assert report["figures"].keys() == {"losses", "retrieval", "mixture", "segments"}
    page = (workdir / "report.md").read_text()
    for path in report["figures"].values():
        assert (workdir / path).read_bytes().startswith(PNG)
        assert path in page


def test_random_weights_stand_beside_the_checkpoint_in_retrieval(
    run, workdir, dataset, monkeypatch
):
    monkeypatch.setattr(
        Oracle, "with_random_weights", lambda self: Ignorant(dataset), raising=False
    )
    asked = ["--checkpoint", workdir, "--benchmarks", "retrieval", "--pool", 40]
    assert run(*asked, "--random_weights") == 0
    report = json.loads((workdir / "eval" / "report.json").read_text())
    assert report["provenance"]["random_weights"] is True
    untrained = report["retrieval"]["transfers"]["random weights"]
    assert untrained["mrr"] < 0.5 < report["retrieval"]["mrr"]


def test_a_report_is_replaced_by_the_same_line_only(run, workdir, capsys):
    line = ["--checkpoint", workdir, "--benchmarks", "retrieval", "--pool"]
    assert run(*line, 20) == 0
    page = (workdir / "eval" / "report.md").read_text()
    assert run(*line, 20) == 0
    assert run(*line, 30) == 2
    assert (
        "report.json is from another evaluation (different pool); remove that report or name"
        in capsys.readouterr().err
    )
    assert run(*line, 20, "--step", 8) == 2
    assert "(different step)" in capsys.readouterr().err
    assert (workdir / "eval" / "report.md").read_text() == page
    assert not (workdir / "eval.partial").exists()


@pytest.mark.parametrize("name", ["report.json", "report.md", "resamples.npz", "figures"])
def test_a_users_own_files_are_not_replaced_by_a_report(run, workdir, capsys, name):
    (workdir / name).write_text("mine")
    assert run("--checkpoint", workdir, "--output", workdir, "--pool", 20) == 2
    assert f"{name} exists; remove it" in capsys.readouterr().err
    assert (workdir / name).read_text() == "mine"


def test_two_evaluations_do_not_write_into_one_folder(run, workdir, capsys):
    with claim(workdir / "eval"):
        assert run("--checkpoint", workdir, "--pool", 20) == 2
    assert "eval is being written by another run" in capsys.readouterr().err


def test_two_runs_write_the_same_bytes(run, workdir):
    reports = []
    for output in ("a", "b"):
        assert run("--checkpoint", workdir, "--output", workdir / output, "--pool", 20) == 0
        folder = workdir / output
        reports.append([path.read_bytes() for path in sorted(folder.rglob("*.*"))])
    # report.json, report.md, resamples.npz and a figure.
    assert len(reports[0]) == 4
    assert reports[0] == reports[1]


def test_one_benchmark_of_a_converted_checkpoint(run, workdir, data_dir):
    write_config(workdir, None, pda=1.0)
    assert (
        run(
            "--checkpoint",
            workdir,
            "--data_dir",
            data_dir,
            "--benchmarks",
            "retrieval",
            "--split",
            "validation",
        )
        == 0
    )
    report = json.loads((workdir / "eval" / "report.json").read_text())
    assert report["retrieval"]["split"] == "validation"
    assert report.keys() == {"provenance", "retrieval", "figures", "figures_left_out"}
    assert report["figures_left_out"].keys() == {"losses", "retrieval", "mixture"}


def test_texts_are_compared_as_the_text_tower_reads_them(run, workdir, dataset):
    tokenizer, limit = text_tokenizer(), 12
    tokenizer.save(workdir / "tokenizers" / "text")
    metadata = json.loads((workdir / "config.json").read_text())
    metadata["config"]["tokenizer"] = {"max_text_tokens": limit}
    (workdir / "config.json").write_text(json.dumps(metadata))
    assert run("--checkpoint", workdir, "--pool", 50, "--benchmarks", "retrieval") == 0
    report = json.loads((workdir / "eval" / "report.json").read_text())
    read = {
        tuple(tokenizer.encode(biotext(record), max_tokens=limit))
        for record in dataset.splits["test"]
    }
    assert 2 < report["retrieval"]["pool"] == len(read) < 50


def test_records_have_the_names_that_the_checkpoint_learnt_from(
    run, workdir, dataset, monkeypatch, capsys
):
    seen = []
    evaluated = cli.selected_evaluation
    monkeypatch.setattr(
        cli,
        "selected_evaluation",
        lambda name, data, options: seen.append(data) or evaluated(name, data, options),
    )
    records = [
        dataclasses.replace(record, other_names=("Synonym", "EC 1.1.1.1"))
        for record in dataset.splits["test"]
    ]
    folder = workdir / "named"
    folder.mkdir()
    write(folder, {"test": records}, statistics={"records": len(records)})
    found = [
        "--checkpoint",
        workdir,
        "--data_dir",
        folder,
        "--benchmarks",
        "retrieval",
        "--pool",
        20,
    ]
    for names, end in (
        (None, ""),
        ("all", " (Synonym) (EC 1.1.1.1)"),
        ("all_but_ec", " (Synonym)"),
    ):
        metadata = json.loads((workdir / "config.json").read_text())
        metadata["config"]["tokenizer"] = {"names": names} if names else {}
        (workdir / "config.json").write_text(json.dumps(metadata))
        # The oracle has embeddings of the recommended names' texts alone; only what it is asked is
        # of interest here.
        run(*found)
        expected = [record.name + end for record in records]
        assert [record.name for record in seen.pop().splits["test"]] == expected


def test_undefined_numbers_are_null(run, workdir, monkeypatch):
    def unfit(self, sequences):
        return np.full((len(sequences), 32), np.nan, np.float32)

    monkeypatch.setattr(Oracle, "encode_proteins", unfit)
    assert run("--checkpoint", workdir, "--pool", 20) == 0
    report = json.loads((workdir / "eval" / "report.json").read_text())
    assert report["retrieval"]["p2t_r1"] == pytest.approx(1 / 20)
    assert report["pda"]["auroc_without_pda"] is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--checkpoint", "{run}/nowhere"], "does not exist"),
        (["--checkpoint", "{run}", "--data_dir", "{run}/nowhere"], "does not exist"),
        (["--checkpoint", "{run}", "--benchmarks", "retreival"], "unknown evaluation 'retreival'"),
        (["--checkpoint", "{run}", "--split", "tset"], "tset"),
        (["--checkpoint", "{run}", "--control", "{run}"], "loss.pda=1.0"),
        (["--checkpoint", "{run}", "--pool", "1"], "pool=1"),
        (
            ["--checkpoint", "{run}", "--benchmarks", "losses", "--control", "{run}"],
            "--control only applies to segment_localisation",
        ),
        (
            ["--checkpoint", "{run}", "--benchmarks", "losses", "--hits", "a=b"],
            "--hits only applies to retrieval and single_property; remove it.",
        ),
    ],
)
def test_mistakes_are_one_sentence(run, workdir, capsys, arguments, message):
    assert run(*(argument.format(run=workdir) for argument in arguments)) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert message in line


def test_a_control_has_not_learnt_from_features_either(run, workdir, capsys):
    control = workdir.parent / "control"
    control.mkdir()
    config = {"loss": {"pda": 0.0, "features": 0.3}}
    (control / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))
    assert run("--checkpoint", workdir, "--control", control) == 2
    assert "loss.features=0.3" in capsys.readouterr().err


def test_the_control_is_read_off_as_the_checkpoint_is(run, workdir, data_dir):
    for name, prototypes in (("control", True), ("run", False)):
        folder = workdir.parent / name
        folder.mkdir(exist_ok=True)
        config = {
            "data": {"dir": str(data_dir)},
            "loss": {"pda": 0.0},
            "pda": {"theta": 0.3, "prototypes": prototypes},
        }
        (folder / "config.json").write_text(json.dumps({"format_version": 1, "config": config}))
    assert (
        cli.load_control(SegmentLocalisation.control, workdir.parent / "control", workdir).config[
            "pda"
        ]["prototypes"]
        is False
    )


def test_no_dataset_known(run, workdir, capsys):
    write_config(workdir, None, pda=1.0)
    assert run("--checkpoint", workdir) == 2
    assert "--data_dir" in capsys.readouterr().err


def test_the_data_of_a_run_are_looked_for_where_it_was_started(
    run, workdir, data_dir, dataset, tmp_path, monkeypatch, capsys
):
    """From another folder a relative `data.dir` is another folder, or even another dataset."""
    asked = ["--checkpoint", workdir, "--benchmarks", "retrieval", "--pool", 20]
    write_config(workdir, data_dir.name, pda=1.0)
    metadata = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps(metadata | {"dataset": dataset.fingerprint}))
    write_history(workdir)
    monkeypatch.chdir(data_dir.parent)
    assert run(*asked) == 0
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    capsys.readouterr()
    fix = "pass --data_dir=DIR, where it is now, or start this command where training was started."
    assert run(*asked) == 2
    assert (
        f"was trained on {elsewhere}/{data_dir.name}, which does not exist; {fix}"
        in capsys.readouterr().err
    )
    records = list(dataset.splits["test"])
    (elsewhere / data_dir.name).mkdir()
    write(elsewhere / data_dir.name, {"test": records}, statistics={"records": len(records)})
    assert run(*asked) == 2
    assert (
        f"{elsewhere}/{data_dir.name} is not the dataset that {workdir} was trained on; {fix}"
        in capsys.readouterr().err
    )
    # What training followed is known by the data themselves, wherever they are.
    followed = []
    monkeypatch.setattr(cli, "followed", lambda evals, data, name: followed.append(data))
    for folder, known in ((data_dir, True), (elsewhere / data_dir.name, False)):
        assert run(*asked, "--data_dir", folder, "--output", elsewhere / f"known_{known}") == 0
        assert {seen is not None for seen in followed} == {known}
        followed.clear()


def test_damaged_metrics(run, workdir, capsys):
    (workdir / "metrics.jsonl").write_text('{"step": 1')
    assert run("--checkpoint", workdir) == 2
    assert "metrics.jsonl is damaged" in capsys.readouterr().err


def test_steps_and_missing_parameters(workdir, capsys):
    assert cli.main(["--checkpoint", str(workdir), "--step", "newest"]) == 2
    assert "--step=newest" in capsys.readouterr().err
    assert cli.main(["--checkpoint", str(workdir)]) == 2
    assert "has not saved a checkpoint yet" in capsys.readouterr().err


def test_argparse_ends_with_two(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main([])
    assert "--checkpoint" in capsys.readouterr().err


def test_a_full_disk_is_one_sentence_and_leaves_no_part_of_a_file(run, workdir, small_disk, capsys):
    write_history(workdir)
    assert (
        run(
            "--checkpoint",
            workdir,
            "--output",
            workdir.parent / "free",
            "--pool",
            50,
            "--benchmarks",
            "retrieval",
        )
        == 0
    )
    disk = small_disk("32k")
    assert (
        run(
            "--checkpoint",
            workdir,
            "--output",
            disk / "eval",
            "--pool",
            50,
            "--benchmarks",
            "retrieval",
        )
        == 1
    )
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ")
    assert "cannot be written (No space left on device); free some space" in last
    for path in filter(lambda path: path.is_file(), disk.rglob("*")):
        assert (
            path.read_bytes()
            == (workdir.parent / "free" / path.relative_to(disk / "eval")).read_bytes()
        )


@pytest.mark.parametrize(
    ("hits", "sentence"),
    [
        (["hits.m8"], "--hits hits.m8 is not of the form NAME=FILE"),
        (["a=x.m8", "a=y.m8"], "--hits names a twice"),
        (["a=none.m8"], "none.m8 cannot be read"),
    ],
)
def test_mistakes_about_hits_are_one_sentence(run, workdir, capsys, hits, sentence):
    assert (
        run("--checkpoint", workdir, "--benchmarks", "retrieval", "--pool", 20, "--hits", *hits)
        == 2
    )
    assert sentence in capsys.readouterr().err


def test_the_pretraining_set_is_the_checkpoint_s_own(workdir, data_dir, dataset, tmp_path, capsys):
    def found(**options):
        return checkpoint_data.pretraining_data(
            argparse.Namespace(checkpoint=workdir, pretrained_on=None, **options), workdir
        )

    assert found().fingerprint == dataset.fingerprint
    other = tmp_path / "other"
    other.mkdir()
    write(other, {"test": list(dataset.splits["test"])}, statistics={"records": 60})
    write_config(workdir, other, pda=1.0)
    metadata = json.loads((workdir / "config.json").read_text())
    (workdir / "config.json").write_text(json.dumps(metadata | {"dataset": dataset.fingerprint}))
    assert found() is None
    assert "is not the dataset that" in capsys.readouterr().err
    moved = argparse.Namespace(checkpoint=workdir, pretrained_on=data_dir)
    assert checkpoint_data.pretraining_data(moved, workdir).fingerprint == dataset.fingerprint
    with pytest.raises(UserError, match="is not the dataset that"):
        checkpoint_data.pretraining_data(
            argparse.Namespace(checkpoint=workdir, pretrained_on=other), workdir
        )
    for folder, message in (
        (tmp_path / "gone", "which does not exist"),
        (None, "does not say what it was trained on"),
    ):
        write_config(workdir, folder, pda=1.0)
        assert found() is None
        assert message in capsys.readouterr().err
