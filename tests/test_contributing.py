"""The extensions that CONTRIBUTING.md shows: each is one short file and its lines in one
registry, and works."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from data_pipelines.protanno.dataset import open_dataset
from protclip_jax.training.metrics import read_metrics
from tests.support import tiny
from tests.support.contributing import apply, copy_of_project, section
from tests.support.training_runs import arguments

HEADINGS = (
    "A new objective",
    "A new attention backend",
    "A new evaluation on a built dataset",
    "A new family of public benchmarks",
    "A new source format",
)
"""The sections whose example is complete."""
MAX_LINES = 60


@pytest.mark.parametrize("heading", HEADINGS)
def test_an_extension_is_one_short_file_and_one_registry(heading):
    blocks = section(heading)
    files = [text for language, _, text in blocks if language == "python"]
    registries = {path for language, path, _ in blocks if language == "diff"}
    assert len(files) == 1
    assert len(registries) == 1
    assert len(files[0].splitlines()) <= MAX_LINES


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A copy of the project with every extension that CONTRIBUTING.md shows."""
    folder = copy_of_project(tmp_path_factory.mktemp("project"))
    for heading in HEADINGS:
        apply(section(heading), folder)
    return folder


def run(project, *command):
    """Runs `python …` in the copy; returns what it printed."""
    flags = os.environ["XLA_FLAGS"].replace("device_count=8", "device_count=2")
    environment = {**os.environ, "PYTHONPATH": str(project), "XLA_FLAGS": flags}
    command = [sys.executable, *map(str, command)]
    done = subprocess.run(command, cwd=project, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


TRAIN_TWICE = """
import sys
from protclip_train import main
then = sys.argv.index("then")
sys.exit(main(sys.argv[1:then]) or main(sys.argv[then + 1 :]))
"""


def test_an_objective_and_an_attention_backend_train(project, sample_dataset, tmp_path):
    others = [f"--config.loss.{name}=0" for name in ("gc", "bsr", "mlm", "pda")]
    options = [
        "--config.loss.hinge=2",
        "--config.hinge.margin=0.3",
        "--config.batch.microbatch_rows=4",
    ]
    # Neither evaluated nor saved before the end.
    steps = ["--config.eval_every=4", "--config.checkpoint_every=4", "--config.total_steps=2"]
    with_each = [
        arguments(
            sample_dataset,
            tmp_path / attention,
            *others,
            *options,
            *steps,
            f"--config.model.attention={attention}",
        )
        for attention in ("blockwise", "row_by_row")
    ]
    run(project, "-c", TRAIN_TWICE, *with_each[0], "then", *with_each[1])
    logged = []
    for attention in ("blockwise", "row_by_row"):
        records = read_metrics(tmp_path / attention / "metrics.jsonl")
        logged.append([record for record in records if "loss" in record])
    for record, with_backend in zip(*logged, strict=True):
        assert record["loss/hinge"] > 0
        assert record["gradient_norm"] > 0
        np.testing.assert_allclose(record["loss"], 2 * record["loss/hinge"], rtol=1e-6)
        for name in ("loss", "gradient_norm"):
            np.testing.assert_allclose(record[name], with_backend[name], rtol=1e-4)


FOLLOW = """
import sys
from data_pipelines.protanno.dataset import open_dataset
from eval.__main__ import main
from eval.registry import make_hooks
from protclip_jax import ProtCLIP
(hook,) = make_hooks({"modality_gap": {"pool": 12}}, open_dataset(sys.argv[1]))
print(sorted(hook(ProtCLIP.load(sys.argv[3]))))
sys.exit(main(sys.argv[2:]))
"""
"""Follows the new evaluation as training does, then evaluates by it."""


def test_an_evaluation_on_a_built_dataset_is_followed_and_reported(
    project, sample_dataset, tmp_path
):
    dataset, output = sample_dataset / "protanno", tmp_path / "out"
    checkpoint = tiny.save(tmp_path / "checkpoint", tiny.CONFIG)
    asked = ["--data_dir", dataset, "--benchmarks", "modality_gap", "--pool", 12]
    printed = run(
        project, "-c", FOLLOW, dataset, "--checkpoint", checkpoint, "--output", output, *asked
    )
    assert printed.splitlines()[0] == "['modality_gap/gap', 'modality_gap/halves']"
    report = json.loads((output / "report.json").read_text())["modality_gap"]
    assert report["pool"] == 12
    assert 0 < report["gap"] <= 2
    assert "of 12 proteins and of their biotexts" in (output / "report.md").read_text()


def test_a_family_of_public_benchmarks_is_measured(project, tmp_path):
    sequences = ("MKVL", "MACDE", "MWYFH", "MGGSS", "MRKDE")
    rows = [f"{sequence},{number}" for number, sequence in enumerate(sequences)]
    data, output = tmp_path / "data", tmp_path / "out"
    (data / "solubility").mkdir(parents=True)
    for split in ("train", "test"):
        (data / f"solubility/{split}.csv").write_text("\n".join(["sequence,target", *rows]) + "\n")
    entry = {"format": "tables", "train": "solubility/train.csv", "test": "solubility/test.csv"}
    (data / "benchmarks.json").write_text(json.dumps({"solubility": entry}))
    checkpoint = tiny.save(tmp_path / "checkpoint", tiny.CONFIG)
    run(project, "-m", "eval", "--checkpoint", checkpoint, "--output", output, "--data_dir", data)
    result = json.loads((output / "report.json").read_text())["benchmarks"]["solubility"]
    # Every test protein is its own nearest neighbour.
    assert result["headline"]["spearman"]["mean"] == pytest.approx(1)
    assert result["data"]["counts"] == {"train": 5, "test": 5}
    assert "### Nearest neighbour" in (output / "report.md").read_text()


def test_a_source_format_is_built(project, tmp_path):
    lines = ["T1 | Widgetase | MKVLA", "T2 | no sequence", "T3 | Gadgetase | MWWQ"]
    (tmp_path / "entries.toy").write_text("\n".join(lines))
    run(
        project,
        "-m",
        "data_pipelines.build",
        "--input",
        tmp_path / "entries.toy",
        "--output",
        tmp_path / "protanno",
    )
    splits = open_dataset(tmp_path / "protanno").splits.values()
    records = {record.accession: record for split in splits for record in split}
    assert {key: (record.name, record.sequence) for key, record in records.items()} == {
        "T1": ("Widgetase", "MKVLA"),
        "T3": ("Gadgetase", "MWWQ"),
    }
    reject = json.loads((tmp_path / "protanno" / "rejects.jsonl").read_text())
    assert (reject["accession"], reject["line"]) == ("T2", 2)
    assert reject["reason"] == "its line has 2 cells, not 3"
