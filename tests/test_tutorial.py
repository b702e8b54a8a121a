"""The tutorial's blocks run as they stand, in their order, in a clean shell."""

import pytest

from tests.support.document_script import run_document

MADE = (
    "proteins.index/manifest.json",
    "runs/demo/calibration.json",
    "runs/demo/calibration/report.md",
    "neighbours.tsv",
    "places.labels/manifest.json",
    "proteins.annotated.tsv",
    "Q90003.png",
    "nucleus.tsv",
)


@pytest.mark.soak
def test_every_block_runs_after_the_ones_before_it(tmp_path):
    folder = run_document("docs/tutorial.md", tmp_path)
    assert [name for name in MADE if not (folder / name).exists()] == []
    assert "function_difference" in (folder / "Q90003.tsv").read_text()
