"""The extensions that CONTRIBUTING.md shows: each is one short file and its lines in one registry, and works."""

import json
import subprocess
import sys

import pytest

from tests.support import tiny
from tests.support.contributing import apply, copy_of_project, section

HEADINGS = ["A new evaluation on a built dataset", "A new family of public benchmarks"]
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


FOLLOW = """
import sys
from data_pipelines.protanno.dataset import open_dataset
from eval.__main__ import main
from eval.registry import make_hooks
from protclip_jax import ProtCLIP
(hook,) = make_hooks({"modality_gap": {"pool": 12}}, open_dataset(sys.argv[1]))
print(sorted(hook(ProtCLIP.load("checkpoint"))))
sys.exit(main(sys.argv[2:]))
"""
"""Follows the new evaluation as training does, then evaluates by it."""


def evaluate(project, *arguments, program=("-m", "eval")):
    """What `python -m eval` prints and writes in a copy of the project, on a tiny random checkpoint."""
    checkpoint = tiny.save(project / "checkpoint", tiny.CONFIG)
    asked = ["--checkpoint", checkpoint, "--output", project / "out", *arguments]
    command = [sys.executable, *program, *asked]
    done = subprocess.run(
        list(map(str, command)),
        cwd=project,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, project / "out"


def test_an_evaluation_on_a_built_dataset_is_one_file(tmp_path, sample_dataset):
    project = copy_of_project(tmp_path)
    apply(section("A new evaluation on a built dataset"), project)
    dataset = sample_dataset / "protanno"
    asked = ["--data_dir", dataset, "--benchmarks", "modality_gap", "--pool", 12]
    printed, output = evaluate(project, *asked, program=("-c", FOLLOW, dataset))
    assert printed == "['modality_gap/gap', 'modality_gap/halves']\n"
    report = json.loads((output / "report.json").read_text())["modality_gap"]
    assert report["pool"] == 12
    assert 0 < report["gap"] <= 2
    assert "of 12 proteins and of their biotexts" in (output / "report.md").read_text()


def test_a_family_of_public_benchmarks_is_one_file(tmp_path):
    project = copy_of_project(tmp_path)
    apply(section("A new family of public benchmarks"), project)
    sequences = ("MKVL", "MACDE", "MWYFH", "MGGSS", "MRKDE")
    rows = [f"{sequence},{number}" for number, sequence in enumerate(sequences)]
    data = tmp_path / "data/solubility"
    data.mkdir(parents=True)
    for split in ("train", "test"):
        (data / f"{split}.csv").write_text("\n".join(["sequence,target", *rows]) + "\n")
    entry = {"format": "tables", "train": "solubility/train.csv", "test": "solubility/test.csv"}
    (tmp_path / "data/benchmarks.json").write_text(json.dumps({"solubility": entry}))
    _, output = evaluate(project, "--data_dir", tmp_path / "data")
    result = json.loads((output / "report.json").read_text())["benchmarks"]["solubility"]
    # Every test protein is its own nearest neighbour.
    assert result["headline"]["spearman"]["mean"] == pytest.approx(1)
    assert result["data"]["counts"] == {"train": 5, "test": 5}
    assert "### Nearest neighbour" in (output / "report.md").read_text()
