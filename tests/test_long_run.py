"""Thousands of steps with evaluations and saves leave nothing behind."""

import pathlib

import pytest

from benchmarks import long_run

LEAK = 1.05
"""A leak of one small array a step would be more over these steps."""


@pytest.mark.soak
def test_memory_and_open_files_stay_flat_and_no_process_is_left(
    sample_dataset, tmp_path, monkeypatch
):
    # As the command has it: a device for each core.
    monkeypatch.delenv("XLA_FLAGS")
    result = long_run.run(
        tmp_path,
        data_dir=sample_dataset / "protanno",
        vocabulary=sample_dataset / "vocab.txt",
        steps=3000,
    )
    for name, medians in result["median_of_each_quarter"].items():
        # The first quarter is warm-up.
        assert medians[3] <= LEAK * medians[1], (name, medians)
    commands = [
        path.read_bytes() for path in pathlib.Path("/proc").glob("[0-9]*/cmdline") if path.exists()
    ]
    assert not [command for command in commands if str(tmp_path).encode() in command]
