"""Training runs as real processes: `train.py` with small arguments, how to start and await it,
and what it left."""

import contextlib
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
from orbax.checkpoint import v1 as ocp

from tests.support.compilation import QUICK_COMPILATION
from tests.support.paths import ROOT

TINY = [
    "--config.total_steps=4",
    "--config.log_every=1",
    "--config.eval_every=2",
    "--config.checkpoint_every=2",
    "--config.batch.rows=8",
    "--config.batch.slots=4",
    # No more than four records can fill.
    "--config.batch.protein_tokens=256",
    "--config.batch.text_tokens=256",
    "--config.data.streams=4",
    "--config.evals.retrieval.pool=16",
    "--config.tokenizer.max_protein_tokens=64",
    "--config.tokenizer.max_text_tokens=32",
    "--config.model.protein.num_layers=1",
    "--config.model.protein.hidden_size=32",
    "--config.model.protein.intermediate_size=64",
    "--config.model.text.hidden_size=32",
    "--config.model.text.intermediate_size=64",
    "--config.model.projection_dim=16",
    "--config.model.num_prototypes=8",
]

TIMED = ("seconds/", "pairs_per_second", "tokens_per_second", "mfu", "goodput")
"""Beginnings of the names in metrics.jsonl that depend on the clock."""


def arguments(sample_dataset, workdir, *more):
    data = [
        f"--config.data.dir={sample_dataset}/protanno",
        f"--config.tokenizer.text={sample_dataset}/vocab.txt",
    ]
    return [
        "train.py",
        "--config",
        "configs/quickstart_paper.py",
        "--workdir",
        str(workdir),
        *data,
        *TINY,
        *more,
    ]


def start(sample_dataset, workdir, *more, hosts=1, devices=4, log=None, last_host=()):
    """The processes of a run, each the leader of a session of its own, with its share of the
    devices.

    Their output is appended to LOG.<host>.log, by default WORKDIR.<host>.log. `last_host` are
    arguments of the last one only.
    """
    flags = f"--xla_force_host_platform_device_count={devices // hosts} {QUICK_COMPILATION}"
    environment = {
        **os.environ,
        "XLA_FLAGS": flags,
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(ROOT / "tests/without_torch"),
    }
    port = free_port()
    processes = []
    for host in range(hosts):
        found = {
            "COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
            "NUM_PROCESSES": str(hosts),
            "PROCESS_ID": str(host),
        }
        of_host = environment | (
            {f"JAX_{name}": value for name, value in found.items()} if hosts > 1 else {}
        )
        own = last_host if host == hosts - 1 else ()
        command = [sys.executable, *arguments(sample_dataset, workdir, *more, *own)]
        with open(log_file(log or workdir, host), "ab") as file:
            processes.append(
                subprocess.Popen(
                    command, cwd=ROOT, env=of_host, stdout=file, stderr=file, start_new_session=True
                )
            )
    return processes


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def log_file(workdir, host=0):
    return pathlib.Path(f"{workdir}.{host}.log")


def finish(processes, *, timeout=300):
    """The exit codes; what has not ended by then is killed, and `subprocess.TimeoutExpired`
    raised."""
    end = time.monotonic() + timeout
    try:
        return [process.wait(max(0.1, end - time.monotonic())) for process in processes]
    finally:
        for process in processes:
            kill_session(process)


def kill_session(process):
    """Kills the process and its workers, as they are at this moment."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(condition, processes, *, timeout=300, every=0.01):
    """Waits until `condition()` holds; if a process ends before that, or at the timeout, kills
    all of them and fails."""
    end = time.monotonic() + timeout
    try:
        while not condition():
            ended = [process.returncode for process in processes if process.poll() is not None]
            assert not ended or condition(), f"ended early with exit code {ended[0]}"
            assert time.monotonic() < end, "what was waited for did not come"
            time.sleep(every)
    except AssertionError:
        for process in processes:
            kill_session(process)
        raise


def members(session):
    """The processes of a session that are alive: a trainer's are itself and its workers."""
    alive = []
    for folder in pathlib.Path("/proc").iterdir():
        if folder.name.isdecimal():
            with contextlib.suppress(OSError):
                state, _, _, its_session = (
                    (folder / "stat").read_text().rpartition(")")[2].split()[:4]
                )
                if int(its_session) == session and state not in "ZX":
                    alive.append(int(folder.name))
    return alive


def _untimed(record):
    return {name: value for name, value in record.items() if not name.startswith(TIMED)}


def records(workdir):
    """The whole lines of metrics.jsonl, without what depends on the clock."""
    path = workdir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    whole = [json.loads(line) for line in lines if line.endswith("\n")]
    return list(map(_untimed, whole))


def trained_step(workdir):
    """The last step in metrics.jsonl; 0 before the first."""
    return max((record["step"] for record in records(workdir) if "loss" in record), default=0)


def saved_steps(workdir):
    """The steps of the checkpoints that are complete."""
    sealed = [seal.parent.name for seal in workdir.glob("checkpoints/*/SHA256SUMS")]
    return sorted(int(name) for name in sealed if name.isdecimal())


def contents(workdir, step):
    """Parameters, optimiser state and stream states of a checkpoint as NumPy arrays, whatever
    devices it was saved on."""
    path = workdir.absolute() / "checkpoints" / str(step)
    stored = ocp.checkpointables_metadata(path).metadata
    template = {
        name: jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), stored[name])
        for name in ("params", "optimizer", "data")
    }
    return ocp.load_checkpointables(path, template)


def assert_identical(workdir, expected):
    """Bit for bit the same checkpoints, and the same metrics apart from what depends on the
    clock."""
    assert records(workdir) == records(expected)
    assert saved_steps(workdir) == saved_steps(expected)
    for step in saved_steps(expected):
        jax.tree.map(
            np.testing.assert_array_equal, contents(workdir, step), contents(expected, step)
        )
    assert (workdir / "mixture.json").read_text() == (expected / "mixture.json").read_text()
