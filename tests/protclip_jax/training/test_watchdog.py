import multiprocessing
import signal
import time

import pytest

from data_pipelines.common.processes import follow_parent
from protclip_jax.training.watchdog import Watchdog, report


def a_phase_that_stands_still(seconds):
    time.sleep(seconds)


def test_a_phase_that_stands_still_is_reported_with_its_stack(capfd):
    with Watchdog(0.2) as watchdog:
        watchdog.beat("input at step 7")
        a_phase_that_stands_still(0.7)
    printed = capfd.readouterr().err
    assert "s in input at step 7" in printed
    assert "a_phase_that_stands_still" in printed
    # About every 0.2 s, not in every iteration of the watching thread.
    assert 1 <= printed.count("no progress for") <= 3


def test_a_run_that_goes_on_is_not_reported(capfd):
    with Watchdog(5.0) as watchdog:
        for step in range(20):
            watchdog.beat(f"step {step}")
            time.sleep(0.01)
    assert capfd.readouterr().err == ""


def test_zero_seconds_watch_nothing(capfd):
    with Watchdog(0) as watchdog:
        watchdog.beat("step")
        time.sleep(0.05)
    assert capfd.readouterr().err == ""


def a_worker_that_waits(ready):
    follow_parent()
    ready.set()
    time.sleep(60)


def a_worker_that_catches_nothing(ready):
    ready.set()
    time.sleep(60)


@pytest.mark.parametrize("work", [a_worker_that_waits, a_worker_that_catches_nothing])
def test_workers_add_their_stacks_and_none_is_killed_by_the_question(work, capfd):
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    worker = context.Process(target=work, args=(ready,), daemon=True)
    worker.start()
    try:
        assert ready.wait(60)
        report("no progress for 1 s in input")
        time.sleep(0.3)
        assert worker.is_alive()
        printed = capfd.readouterr().err
        assert str(worker.pid) in printed
        assert ("a_worker_that_waits" in printed) == (work is a_worker_that_waits)
    finally:
        worker.kill()
        worker.join()
    assert worker.exitcode == -signal.SIGKILL
