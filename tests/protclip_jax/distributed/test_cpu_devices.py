"""A CPU as several devices: how many, and when JAX is in use already."""

import os
import subprocess
import sys

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.distributed import cpu_devices
from protclip_jax.distributed.cpu_devices import devices_of_training, split_cpu


@pytest.mark.parametrize(
    ("cores", "rows", "data", "fsdp", "expected"),
    [
        (4, 8, -1, 1, 4),
        (2, 8, -1, 1, 2),
        (1, 8, -1, 1, 1),
        # Rows divide evenly.
        (4, 6, -1, 1, 3),
        (4, 7, -1, 1, 1),
        # Parameters are divided over pairs of devices.
        (3, 12, -1, 2, 2),
        (4, 12, -1, 2, 4),
        (4, 8, 1, -1, 4),
        # The mesh says how many.
        (4, 8, 2, 1, 2),
        (4, 8, 1, 1, 1),
        (4, 512, 64, 4, 1),
    ],
)
def test_a_run_gets_as_many_devices_as_suit_it(monkeypatch, cores, rows, data, fsdp, expected):
    monkeypatch.setattr(cpu_devices, "_cores", lambda: cores)
    assert devices_of_training(rows, data=data, fsdp=fsdp) == expected


def test_devices_are_made_before_jax_is_used_and_stay_afterwards():
    program = (
        "from protclip_jax.distributed.cpu_devices import split_cpu; import jax;"
        "split_cpu(3); print(jax.device_count()); split_cpu(None); split_cpu(2);"
        "print(jax.device_count())"
    )
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    ran = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["3", "3"]
    (note,) = [line for line in ran.stderr.splitlines() if line.startswith("note: ")]
    assert note == "note: JAX is in use already, so the number of CPU devices stays 3."


def test_no_devices_is_one_sentence():
    with pytest.raises(UserError, match="--cpu_devices=0 must be at least 1"):
        split_cpu(0)
