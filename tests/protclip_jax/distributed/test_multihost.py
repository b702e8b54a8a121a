"""Processes that have joined as the hosts of one run, and how they end. They do nothing else, so that they are quick."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from protclip_jax.distributed import host_watch
from tests.support.paths import ROOT
from tests.support.training_runs import free_port

HOSTS = 3
SILENT = host_watch.HEARTBEAT_SECONDS
END_SECONDS = 20
"""Within so many the others end when a process is gone; it takes about one."""


class Run:
    """The processes of a run: `tell` gives one an order, `endings` are the exit codes and last lines on stderr of some."""

    def __init__(self, folder, *arguments):
        address = {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{free_port()}", "JAX_NUM_PROCESSES": str(HOSTS)}
        environments = [os.environ | address | {"JAX_PROCESS_ID": str(i), "JAX_PLATFORMS": "cpu"} for i in range(HOSTS)]
        self._logs = [folder / f"{i}.log" for i in range(HOSTS)]
        command = [sys.executable, "-m", "tests.support.host_process", *arguments]
        self.processes = []
        for log, environment in zip(self._logs, environments, strict=True):
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log.open("w")}
            self.processes.append(subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **pipes))
        assert [process.stdout.readline() for process in self.processes] == ["joined\n"] * HOSTS
        # Each is connected; its greeting may still be on the way.
        time.sleep(0.5)

    def tell(self, process, order):
        self.processes[process].stdin.write(f"{order}\n")
        self.processes[process].stdin.flush()

    def errors(self):
        return [log.read_text() for log in self._logs]

    def endings(self, processes=range(HOSTS), *, timeout=END_SECONDS):
        end = time.monotonic() + timeout
        codes = [self.processes[i].wait(max(0.1, end - time.monotonic())) for i in processes]
        return list(zip(codes, [(self.errors()[i].splitlines() or [""])[-1] for i in processes], strict=True))

    def kill(self):
        for process in self.processes:
            process.kill()
            process.communicate()


@pytest.fixture
def run(tmp_path):
    started = Run(tmp_path)
    yield started
    started.kill()


@pytest.fixture
def unwatched(tmp_path):
    started = Run(tmp_path, "cut_off")
    yield started
    started.kill()


@pytest.mark.parametrize(
    ("victim", "number"),
    [
        (1, signal.SIGKILL),
        pytest.param(0, signal.SIGKILL, marks=pytest.mark.soak),
        pytest.param(2, signal.SIGTERM, marks=pytest.mark.soak),
    ],
)
def test_when_a_process_is_gone_all_end_and_name_it(run, victim, number):
    run.processes[victim].send_signal(number)
    endings = run.endings()
    assert endings.pop(victim) == (-number, "")
    for code, told in endings:
        assert code == 1
        assert told.startswith(f"error: process {victim} (")
        assert "is gone" in told


def test_a_mistake_on_one_host_is_told_on_all(run):
    run.tell(1, "stranger")
    assert run.processes[1].stdout.readline() == "done\n"
    # Time enough for a stranger to do harm.
    time.sleep(1)
    run.tell(1, "mistake")
    endings = run.endings()
    assert len(set(endings)) == 1
    code, told = endings[0]
    assert code == 2
    assert told.startswith("error: process 1 (")
    assert told.endswith(") failed: no such file; give another.")
    assert not any("Traceback" in error for error in run.errors())


@pytest.mark.soak
@pytest.mark.parametrize("process", [0, 2])
def test_a_defect_on_one_host_ends_all(run, process):
    run.tell(process, "defect")
    endings = run.endings()
    assert len(set(endings)) == 1
    code, told = endings[0]
    assert code == 1
    assert told.startswith(f"error: process {process} (")
    assert told.endswith("failed: ValueError: unexpected and more")
    assert ["Traceback" in error for error in run.errors()] == [i == process for i in range(HOSTS)]


def test_hosts_that_leave_in_order_end_without_a_word(run):
    for process in range(HOSTS):
        run.tell(process, "leave")
        time.sleep(0.5)
    assert run.endings() == [(0, "")] * HOSTS


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "told"), [(1, "stopped sending heartbeats):\n1\n"), (0, "Deadline Exceeded")])
def test_a_host_that_hangs_is_given_up(run, victim, told):
    run.processes[victim].send_signal(signal.SIGSTOP)
    others = [i for i in range(HOSTS) if i != victim]
    begun = time.monotonic()
    assert all(code for code, _ in run.endings(others, timeout=2 * host_watch.HEARTBEAT_SECONDS))
    print(f"\nended {time.monotonic() - begun:.0f} s after process {victim} hung")
    # JAX ends them; its log names no task where the silent one is the first, with which the others meet.
    assert any(told in run.errors()[i] for i in others)


def test_hosts_without_connections_say_so_and_go_on(unwatched):
    for process in range(HOSTS):
        unwatched.tell(process, "leave")
    warning = (
        f"warning: other hosts are not watched (timed out); when one of them is gone, JAX ends the others after {SILENT} s."
    )
    assert unwatched.endings() == [(0, ""), (0, warning), (0, warning)]


@pytest.mark.soak
@pytest.mark.parametrize(("victim", "told"), [(1, "stopped sending heartbeats):\n1\n"), (0, "coordination service")])
def test_without_connections_the_heartbeat_ends_the_others_of_one_that_is_gone(unwatched, victim, told):
    unwatched.processes[victim].kill()
    others = [i for i in range(HOSTS) if i != victim]
    begun = time.monotonic()
    assert all(code for code, _ in unwatched.endings(others, timeout=2 * SILENT))
    print(f"\nended {time.monotonic() - begun:.0f} s after process {victim} was killed")
    assert any(told in unwatched.errors()[i] for i in others)


@pytest.mark.soak
@pytest.mark.parametrize("process", [0, 1])
def test_without_connections_a_mistake_is_told_where_it_is_and_ends_all(unwatched, process):
    unwatched.tell(process, "mistake")
    endings = unwatched.endings(timeout=2 * SILENT)
    code, told = endings[process]
    assert code == 2
    assert "no such file; give another." in told
    assert all(code for code, _ in endings)


def compare(run, *seeds):
    for process, seed in enumerate(seeds):
        run.tell(process, f"compare {seed}")


def test_hosts_that_were_started_alike_go_on(run):
    compare(run, 7, 7, 7)
    # Gloo, through which CPUs exchange, has lines of its own.
    lines = [next(line for line in process.stdout if "[Gloo]" not in line) for process in run.processes]
    assert lines == ["done\n"] * HOSTS


def test_hosts_that_were_started_differently_all_end_and_name_what_differs(run):
    compare(run, 7, 7, 8)
    endings = run.endings()
    assert len(set(endings)) == 1
    code, told = endings[0]
    assert code == 2
    name = socket.gethostname()
    assert f"config.seed is 7 on process 0 ({name}), 1 ({name}) and 8 on process 2 ({name})" in told
    assert "log_every" not in told
    assert not any("Traceback" in error for error in run.errors())
