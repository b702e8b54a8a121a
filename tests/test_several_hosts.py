"""Several processes as the hosts of one run: the same numbers, the same step at a stop, and an
end when one of them dies."""

import functools
import signal
import time

import jax
import numpy as np
import pytest

from protclip_jax import ProtCLIP
from protclip_jax.distributed.multihost import HEARTBEAT_SECONDS
from tests.support.training_runs import (
    contents,
    finish,
    kill_session,
    log_file,
    records,
    saved_steps,
    start,
    trained_step,
    wait_for,
)

CONSTANT = ["--config.optimizer.schedule=constant", "--config.optimizer.warmup_fraction=0.0"]
"""Neither warm-up nor decay, which follow the number of steps."""


def assert_same_metrics(one, other):
    for a, b in zip(records(one), records(other), strict=True):
        assert a.keys() == b.keys()
        for name in a:
            assert a[name] == pytest.approx(b[name], rel=1e-4, abs=1e-5), (a["step"], name)


def assert_same_losses(one, other):
    kept = []
    for workdir in (one, other):
        kept.append({r["step"]: r["loss"] for r in records(workdir) if "loss" in r})
    assert kept[0] == pytest.approx(kept[1], rel=1e-3)


def assert_same_data(one, other):
    """The streams stand at the same draws, and all clusters gave as many."""
    (step,) = {max(saved_steps(workdir)) for workdir in (one, other)}
    states = [contents(workdir, step)["data"]["streams"] for workdir in (one, other)]
    np.testing.assert_array_equal(*states)
    assert len({(workdir / "mixture.json").read_text() for workdir in (one, other)}) == 1


def assert_same_params(one, other):
    """Loaded on this process's devices, of which there are more than the runs had."""
    for a, b in zip(
        jax.tree.leaves(ProtCLIP.load(one)._params),
        jax.tree.leaves(ProtCLIP.load(other)._params),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-4)


@pytest.fixture(scope="module")
def of_one_host(sample_dataset, tmp_path_factory):
    """A function: the workdir of a run of so many steps on one host."""

    @functools.cache
    def run(steps):
        workdir = tmp_path_factory.mktemp("one") / "run"
        assert finish(start(sample_dataset, workdir, f"--config.total_steps={steps}")) == [0]
        return workdir

    return run


SOAK = [pytest.param(hosts, 4, marks=pytest.mark.soak) for hosts in (2, 4)]


@pytest.mark.parametrize(("hosts", "steps"), [(2, 2), *SOAK])
def test_several_hosts_give_the_numbers_of_one(sample_dataset, of_one_host, tmp_path, hosts, steps):
    workdir, expected = tmp_path / "run", of_one_host(steps)
    assert (
        finish(start(sample_dataset, workdir, f"--config.total_steps={steps}", hosts=hosts))
        == [0] * hosts
    )
    assert_same_metrics(expected, workdir)
    assert_same_data(expected, workdir)
    assert_same_params(expected, workdir)


def test_hosts_with_different_lines_end_before_anything_is_written(sample_dataset, tmp_path):
    workdir = tmp_path / "run"
    assert finish(start(sample_dataset, workdir, hosts=2, last_host=["--config.seed=7"])) == [2, 2]
    endings = [log_file(workdir, host).read_text().splitlines()[-1] for host in range(2)]
    assert endings[0] == endings[1]
    assert "config.seed is 0 on process 0" in endings[0]
    assert "7 on process 1" in endings[0]
    assert not workdir.exists()


@pytest.mark.soak
def test_two_hosts_then_one_then_four_give_the_numbers_of_one(sample_dataset, tmp_path):
    chain, straight = tmp_path / "chain", tmp_path / "straight"
    for hosts, steps in ((2, 2), (1, 4), (4, 6)):
        assert (
            finish(
                start(
                    sample_dataset, chain, *CONSTANT, f"--config.total_steps={steps}", hosts=hosts
                )
            )
            == [0] * hosts
        )
    assert finish(start(sample_dataset, straight, *CONSTANT, "--config.total_steps=6")) == [0]
    assert_same_metrics(chain, straight)
    assert_same_data(chain, straight)
    assert_same_params(chain, straight)


@pytest.mark.soak
def test_a_signal_to_one_host_stops_all_after_the_same_step(sample_dataset, tmp_path):
    workdir, straight = tmp_path / "run", tmp_path / "straight"
    processes = start(sample_dataset, workdir, *CONSTANT, "--config.total_steps=400", hosts=2)
    wait_for(lambda: trained_step(workdir) >= 3, processes)
    processes[1].send_signal(signal.SIGTERM)
    assert finish(processes, timeout=60) == [75, 75]
    stopped = max(saved_steps(workdir))
    assert stopped == trained_step(workdir)
    enough = [*CONSTANT, f"--config.total_steps={stopped + 2}"]
    assert finish(start(sample_dataset, workdir, *enough, hosts=2)) == [0, 0]
    assert finish(start(sample_dataset, straight, *enough)) == [0]
    assert_same_losses(workdir, straight)
    assert_same_data(workdir, straight)


@pytest.mark.soak
@pytest.mark.parametrize("victim", [0, 1])
def test_the_death_of_one_host_ends_the_others(sample_dataset, tmp_path, victim):
    workdir = tmp_path / "run"
    processes = start(sample_dataset, workdir, "--config.total_steps=4000", hosts=2)
    wait_for(lambda: trained_step(workdir) >= 3, processes)
    kill_session(processes[victim])
    begun = time.monotonic()
    try:
        assert processes[1 - victim].wait(2 * HEARTBEAT_SECONDS)
    finally:
        kill_session(processes[1 - victim])
    print(f"\nthe other ended {time.monotonic() - begun:.1f} s after process {victim}")
