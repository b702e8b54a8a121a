"""The README's blocks run as they stand, in their order, in a clean shell."""

import pytest

from tests.support.document_script import run_document

SHORTER = {"--config.total_steps=100": "--config.total_steps=1"}
MADE = (
    "weights.png",
    "scan.tsv",
    "proteins.h5",
    "proteins.mean.parquet",
    "proteins.residues.parquet",
    "report/report.md",
)


@pytest.mark.soak
def test_every_block_runs_after_the_ones_before_it(tmp_path):
    folder = run_document("README.md", tmp_path, SHORTER)
    assert [name for name in MADE if not (folder / name).exists()] == []
