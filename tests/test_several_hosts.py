"""Several processes as the hosts of one run: the same numbers, the same step at a stop, and an end when one dies."""

import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from orbax.checkpoint import v1 as ocp

from protclip_jax import ProtCLIP
from tests.test_train import arguments

ROOT = pathlib.Path(__file__).resolve().parents[1]
DEVICES = 4
"""Of all hosts together."""


def start(hosts, sample_dataset, workdir, *more):
    """The processes of a run, each with its share of the devices; their output goes to WORKDIR.<host>.log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    flags = f"--xla_force_host_platform_device_count={DEVICES // hosts}"
    flags += " --xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false"
    processes = []
    for host in range(hosts):
        environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONUNBUFFERED": "1"}
        if hosts > 1:
            told = {"COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "NUM_PROCESSES": str(hosts), "PROCESS_ID": str(host)}
            environment |= {f"JAX_{name}": value for name, value in told.items()}
        command = [sys.executable, *arguments(sample_dataset, workdir, *more)]
        with open(f"{workdir}.{host}.log", "w") as log:
            processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
    return processes


def finish(processes, *, timeout=300):
    """The exit codes; a process that does not end is killed, which fails the test."""
    end = time.monotonic() + timeout
    try:
        return [process.wait(max(1, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            process.kill()


def records(workdir):
    """metrics.jsonl without what depends on the clock."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if "second" not in k and k != "mfu"} for line in lines]


def assert_same_run(one, other):
    for a, b in zip(records(one), records(other), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), (a["step"], name)


def stream_states(workdir, step):
    """The data state of a checkpoint, whatever devices it was saved on."""
    path = (workdir / "checkpoints" / str(step)).absolute()
    shape = ocp.checkpointables_metadata(path).metadata["data"]["streams"].shape
    return ocp.load_checkpointables(path, {"data": {"streams": np.zeros(shape, np.int64)}})["data"]["streams"]


def assert_same_params(one, other):
    """Loaded on this process's devices, of which there are more than the runs had."""
    for a, b in zip(jax.tree.leaves(ProtCLIP.load(one)._params), jax.tree.leaves(ProtCLIP.load(other)._params), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)


def wait_for_step(processes, workdir, step, *, timeout=200):
    end = time.monotonic() + timeout
    path = workdir / "metrics.jsonl"
    while not (path.exists() and any(f'"step": {step},' in line for line in path.read_text().splitlines())):
        assert time.monotonic() < end, f"step {step} was not reached"
        assert all(process.poll() is None for process in processes), "a host ended early"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def of_one_host(sample_dataset, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("one") / "run"
    assert finish(start(1, sample_dataset, workdir)) == [0]
    return workdir


@pytest.mark.parametrize("hosts", [2, pytest.param(4, marks=pytest.mark.soak)])
def test_several_hosts_give_the_numbers_of_one(sample_dataset, of_one_host, tmp_path, hosts):
    workdir = tmp_path / "run"
    assert finish(start(hosts, sample_dataset, workdir)) == [0] * hosts
    assert_same_run(of_one_host, workdir)
    np.testing.assert_array_equal(stream_states(workdir, 4), stream_states(of_one_host, 4))
    assert_same_params(workdir, of_one_host)
    drawn = [json.loads((folder / "mixture.json").read_text()) for folder in (of_one_host, workdir)]
    assert drawn[0] == drawn[1]


@pytest.mark.soak
def test_a_signal_to_one_host_stops_all_after_the_same_step_and_another_number_of_hosts_goes_on(
    sample_dataset, of_one_host, tmp_path
):
    workdir = tmp_path / "run"
    # Neither warm-up nor decay, which follow the number of steps.
    constant = ["--config.optimizer.schedule=constant", "--config.optimizer.warmup_fraction=0.0"]
    many = [*constant, "--config.total_steps=400"]
    processes = start(2, sample_dataset, workdir, *many)
    wait_for_step(processes, workdir, 3)
    processes[1].send_signal(signal.SIGTERM)
    assert finish(processes, timeout=120) == [75, 75]
    steps = [int(path.name) for path in (workdir / "checkpoints").iterdir() if path.name.isdecimal()]
    stopped = max(steps)
    assert stopped >= 3
    enough = [*constant, f"--config.total_steps={stopped + 2}"]
    assert finish(start(4, sample_dataset, workdir, *enough)) == [0] * 4
    assert finish(start(1, sample_dataset, tmp_path / "straight", *enough)) == [0]
    kept = [{r["step"]: r for r in records(folder) if "loss" in r} for folder in (workdir, tmp_path / "straight")]
    assert sorted(kept[0]) == sorted(kept[1])
    for step, record in kept[1].items():
        assert kept[0][step]["loss"] == pytest.approx(record["loss"], rel=1e-3)


@pytest.mark.soak
def test_the_death_of_one_host_ends_the_others(sample_dataset, tmp_path):
    workdir = tmp_path / "run"
    processes = start(2, sample_dataset, workdir, "--config.total_steps=4000")
    wait_for_step(processes, workdir, 3)
    processes[1].kill()
    start_of_wait = time.monotonic()
    codes = finish(processes, timeout=180)
    assert codes[0] not in (0, 75)
    print(f"\nthe other host ended after {time.monotonic() - start_of_wait:.0f} s with code {codes[0]}")
    print(pathlib.Path(f"{workdir}.0.log").read_text()[-1500:])
