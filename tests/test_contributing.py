"""The extensions that CONTRIBUTING.md shows: each is one short file and its lines in one registry, and works."""

import json
import subprocess
import sys

import pytest

from data_pipelines.protanno.dataset import open_dataset
from tests.support.contributing import apply, copy_of_project, section

SOURCE_FORMAT = "A new source format"
HEADINGS = [SOURCE_FORMAT]
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


def test_a_new_source_format_is_built(tmp_path):
    project = copy_of_project(tmp_path)
    apply(section(SOURCE_FORMAT), project)
    lines = ["T1 | Widgetase | MKVLA", "T2 | no sequence", "T3 | Gadgetase | MWWQ"]
    (project / "entries.toy").write_text("\n".join(lines))
    command = ["-m", "data_pipelines.build", "--input", "entries.toy", "--output", "protanno"]
    subprocess.run([sys.executable, *command], cwd=project, check=True, capture_output=True)
    splits = open_dataset(project / "protanno").splits.values()
    records = {record.accession: record for split in splits for record in split}
    assert {key: (record.name, record.sequence) for key, record in records.items()} == {
        "T1": ("Widgetase", "MKVLA"),
        "T3": ("Gadgetase", "MWWQ"),
    }
    reject = json.loads((project / "protanno" / "rejects.jsonl").read_text())
    assert (reject["accession"], reject["file"], reject["line"]) == ("T2", "entries.toy", 2)
    assert reject["reason"] == "its line has 2 cells, not 3"
