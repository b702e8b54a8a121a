"""Processes that join as the hosts of a run and do nothing else: how they end."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.distributed import multihost
from tests.support.paths import ROOT
from tests.support.training_runs import free_port

HOSTS = 3
SHORT_HEARTBEAT = 5
END_SECONDS = 20
"""Time limit for processes that need not wait for a heartbeat; they take about two seconds."""


class Run:
    """The processes of a run.

    `tell` sends an order to one of them; `endings` returns exit codes and last lines on stderr.
    """

    def __init__(self, folder, heartbeat):
        run = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_PLATFORMS": "cpu"}
        run |= {"JAX_NUM_PROCESSES": str(HOSTS)}
        self._logs = [folder / f"{i}.log" for i in range(HOSTS)]
        command = [sys.executable, "-m", "tests.support.host_process", str(heartbeat)]
        self.processes = []
        for index, log in enumerate(self._logs):
            own = os.environ | run | {"JAX_PROCESS_ID": str(index)}
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log.open("w")}
            process = subprocess.Popen(command, cwd=ROOT, env=own, text=True, **pipes)
            self.processes.append(process)

    def await_all(self, word):
        """Waits for a word from each; Gloo, the CPU backend, also writes into that line."""
        for process in self.processes:
            assert any(line.endswith(f"{word}\n") for line in process.stdout)

    def tell(self, process, order):
        self.processes[process].stdin.write(f"{order}\n")
        self.processes[process].stdin.flush()

    def errors(self):
        return [log.read_text() for log in self._logs]

    def endings(self, processes=range(HOSTS), *, timeout=END_SECONDS):
        end = time.monotonic() + timeout
        codes = [self.processes[i].wait(max(0.1, end - time.monotonic())) for i in processes]
        lasts = [(self.errors()[i].splitlines() or [""])[-1] for i in processes]
        return list(zip(codes, lasts, strict=True))

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def joined_run(tmp_path):
    runs = []

    def start(heartbeat=multihost.HEARTBEAT_SECONDS):
        runs.append(Run(tmp_path, heartbeat))
        runs[-1].await_all("joined")
        return runs[-1]

    yield start
    for run in runs:
        run.kill()


def others_end(run, victim, *, heartbeat):
    """Checks that JAX ends the other processes, and returns their stderr."""
    others = [i for i in range(HOSTS) if i != victim]
    endings = run.endings(others, timeout=2 * heartbeat + END_SECONDS)
    assert all(code for code, _ in endings)
    return [run.errors()[i] for i in others]


def test_a_mistake_on_one_host_is_reported_there_and_the_others_end(joined_run):
    run = joined_run(SHORT_HEARTBEAT)
    run.tell(1, "mistake")
    ((code, found),) = run.endings([1])
    name = f"process 1 ({socket.gethostname()})"
    assert (code, found) == (2, f"error: {name} failed: no such file; give another.")
    assert "Traceback" not in run.errors()[1]
    for error in others_end(run, 1, heartbeat=SHORT_HEARTBEAT):
        assert "stopped sending heartbeats):\n1\n" in error


def test_hosts_that_fail_alike_all_end_with_their_own_exit_code(joined_run):
    run = joined_run()
    for process in range(HOSTS):
        run.tell(process, "mistake")
        # Long enough for JAX to abort the later processes if process 0 were gone.
        time.sleep(0.3)
    assert [code for code, _ in run.endings()] == [2] * HOSTS


@pytest.mark.soak
@pytest.mark.parametrize("victim", [0, 2])
def test_a_defect_on_one_host_is_reported_there_and_the_others_end(joined_run, victim):
    run = joined_run(SHORT_HEARTBEAT)
    run.tell(victim, "defect")
    ((code, found),) = run.endings([victim])
    name = f"process {victim} ({socket.gethostname()})"
    assert (code, found) == (1, f"error: {name} failed: ValueError: unexpected and more")
    assert "Traceback" in run.errors()[victim]
    others_end(run, victim, heartbeat=SHORT_HEARTBEAT)


@pytest.mark.soak
@pytest.mark.parametrize(
    ("victim", "number", "message"),
    [
        (0, signal.SIGKILL, "Failed to send RPC to coordination service"),
        (1, signal.SIGKILL, "stopped sending heartbeats):\n1\n"),
        # JAX does not name process 0, which runs the coordination service.
        (0, signal.SIGSTOP, "Deadline Exceeded"),
        (1, signal.SIGSTOP, "stopped sending heartbeats):\n1\n"),
    ],
)
def test_a_host_that_is_gone_or_hangs_is_given_up(joined_run, victim, number, message):
    run = joined_run()
    run.processes[victim].send_signal(number)
    begun = time.monotonic()
    errors = others_end(run, victim, heartbeat=multihost.HEARTBEAT_SECONDS)
    print(f"\nended {time.monotonic() - begun:.0f} s after process {victim} got {number.name}")
    assert any(message in error for error in errors)


def compare(run, *seeds):
    for process, seed in enumerate(seeds):
        run.tell(process, f"compare {seed}")


def test_hosts_that_were_started_alike_go_on_and_leave_without_a_word(joined_run):
    run = joined_run()
    compare(run, 7, 7, 7)
    run.await_all("done")
    for process in range(HOSTS):
        run.tell(process, "leave")
        time.sleep(0.5)
    assert run.endings() == [(0, "")] * HOSTS


def test_hosts_that_were_started_differently_all_end_and_name_what_differs(joined_run):
    run = joined_run()
    compare(run, 7, 7, 8)
    endings = run.endings()
    assert len(set(endings)) == 1
    code, found = endings[0]
    assert code == 2
    vm = socket.gethostname()
    assert f"config.seed is 7 on process 0 ({vm}), 1 ({vm}) and 8 on process 2 ({vm})" in found
    assert "log_every" not in found
    assert not any("Traceback" in error for error in run.errors())


class Ended(Exception):
    """Raised instead of ending this process."""


@pytest.fixture
def in_cluster(monkeypatch):
    def end(*message):
        raise Ended(*message)

    monkeypatch.setattr(multihost, "_end", end)
    monkeypatch.setattr(multihost, "initialize", lambda: None)
    monkeypatch.setattr(multihost.jax.distributed, "is_initialized", lambda: True)


def test_an_error_of_the_only_process_of_a_cluster_is_raised(in_cluster):
    with pytest.raises(UserError, match="no such file"), multihost.joined():
        raise UserError("no such file; give another.")


def test_a_host_whose_devices_do_not_start_ends_at_once(in_cluster, monkeypatch):
    def refuse():
        raise RuntimeError("the TPU is in use")

    monkeypatch.setattr(multihost.jax, "process_count", refuse)
    with pytest.raises(Ended) as ended, multihost.joined():
        pass
    found = f"{socket.gethostname()} failed: RuntimeError: the TPU is in use"
    assert ended.value.args == (found, 1)
