"""A run that is killed or told to stop, at any moment and as often as one likes, ends as if
nothing had been."""

import contextlib
import os
import random
import signal
import time

import pytest

from protclip_jax.training.preemption import SAME_SECONDS
from tests.support.training_runs import (
    assert_identical,
    finish,
    kill_session,
    log_file,
    members,
    saved_steps,
    start,
    trained_step,
    wait_for,
)

EVERY = 4
"""Steps between two checkpoints, before each of which the model is evaluated."""

WORKERS_END_SECONDS = 60
STOP_SECONDS = 30
"""For two steps, an evaluation and a save on two busy cores; it takes about two."""

AT_ONCE_SECONDS = 10
"""Of which nearly all is the end of the process itself on busy cores."""


def options(steps):
    return [
        f"--config.{name}_every={every}"
        for name, every in {"log": 2, "eval": EVERY, "checkpoint": EVERY}.items()
    ] + [f"--config.total_steps={steps}"]


@pytest.fixture(scope="module")
def straight(sample_dataset, tmp_path_factory):
    """A function: the workdir of an uninterrupted run of so many steps."""
    made = {}

    def run(steps):
        if steps not in made:
            workdir = tmp_path_factory.mktemp("straight") / "run"
            assert finish(start(sample_dataset, workdir, *options(steps))) == [0]
            made[steps] = workdir
        return made[steps]

    return run


@pytest.fixture
def dice():
    """Draws that differ from run to run; KILL_SEED repeats those of a run that failed."""
    seed = int(os.environ.get("KILL_SEED", time.time_ns() % 10**6))
    print(f"KILL_SEED={seed}")
    return random.Random(seed)


class Moment:
    """What a run is doing when it is killed: waits for it, and up to `spread` seconds more, so
    that all of it is met."""

    def __init__(self, spread, reached):
        self._spread, self._reached = spread, reached

    def wait(self, process, workdir, dice, steps):
        wait_for(self._reached(process, workdir, steps), [process], every=0.005)
        time.sleep(dice.uniform(0, self._spread))


def later(value):
    """A condition: the value is greater than now."""
    now = value()
    return lambda: value() > now


def evaluating(process, workdir, steps):
    now = trained_step(workdir)
    return lambda: (step := trained_step(workdir)) > now and step % EVERY == 0


def newest_partial(workdir):
    """When the newest unfinished save was begun; those of killed runs lie there until the next
    run begins."""
    begun = [0.0]
    for path in workdir.glob("checkpoints/*"):
        with contextlib.suppress(FileNotFoundError):
            if not (path / "SHA256SUMS").exists():
                begun.append(path.stat().st_mtime)
    return max(begun)


MOMENTS = {
    "start-up": Moment(6.0, lambda process, workdir, steps: lambda: True),
    "warm-up": Moment(1.0, lambda process, workdir, steps: lambda: len(members(process.pid)) > 1),
    "step": Moment(0.2, lambda process, workdir, steps: later(lambda: trained_step(workdir))),
    "evaluation": Moment(0.2, evaluating),
    "save": Moment(0.2, lambda process, workdir, steps: later(lambda: newest_partial(workdir))),
    "removal": Moment(
        0.1, lambda process, workdir, steps: later(lambda: max(saved_steps(workdir), default=0))
    ),
    "end": Moment(0.5, lambda process, workdir, steps: lambda: trained_step(workdir) == steps),
}


def kill(process, *, with_workers):
    """SIGKILL, to the workers too or only to the parent, whose end the workers must follow."""
    assert process.poll() is None, "the run ended before it could be killed"
    if with_workers:
        kill_session(process)
    process.kill()
    process.wait()
    wait_for(lambda: not members(process.pid), [], timeout=WORKERS_END_SECONDS)


def kill_at(moments, sample_dataset, workdir, dice, *, steps):
    """Starts a run as often as there are moments and kills it there; the number of steps that
    were lost."""
    lost = 0
    for moment in moments:
        workers = 2 if moment == "warm-up" else dice.choice([0, 2])
        (process,) = start(
            sample_dataset, workdir, *options(steps), f"--config.data.workers={workers}"
        )
        MOMENTS[moment].wait(process, workdir, dice, steps)
        with_workers = dice.choice([False, True])
        kill(process, with_workers=with_workers)
        reached, saved = trained_step(workdir), max(saved_steps(workdir), default=0)
        print(
            f"killed{' with its workers' * with_workers} ({workers}) in {moment}: at step "
            f"{reached}, {saved} saved",
            flush=True,
        )
        lost += max(0, reached - saved)
    return lost


def stop(process, *numbers, seconds, pause=0.0):
    """Sends signals to the whole group, as a terminal does; the exit code, which comes in time
    and after the workers' end."""
    for position, number in enumerate(numbers):
        time.sleep(pause if position else 0)
        begun = time.monotonic()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
    code = process.wait(seconds)
    print(
        f"{' '.join(number.name for number in numbers)}: exit code {code} after "
        f"{time.monotonic() - begun:.1f} s",
        flush=True,
    )
    wait_for(lambda: not members(process.pid), [], timeout=WORKERS_END_SECONDS)
    return code


SHORT, LONG = ["evaluation or save"], ["start-up", *[*MOMENTS][:-1] * 3, "end"]


@pytest.mark.parametrize(
    ("steps", "moments", "numbers"),
    [
        pytest.param(20, SHORT, [], id="short"),
        pytest.param(
            20, SHORT, [signal.SIGTERM], id="killed, then stopped", marks=pytest.mark.soak
        ),
        pytest.param(120, LONG, [], id="killed", marks=pytest.mark.soak),
        pytest.param(
            20,
            [],
            [signal.SIGINT, signal.SIGTERM, signal.SIGINT],
            id="stopped",
            marks=pytest.mark.soak,
        ),
    ],
)
def test_a_killed_or_stopped_run_ends_as_if_it_had_not_been(
    sample_dataset, straight, tmp_path, dice, steps, moments, numbers
):
    expected, workdir = straight(steps), tmp_path / "run"
    moments = sorted(moments, key=lambda moment: (moment == "end", dice.random()))
    lost = kill_at(
        [dice.choice(moment.split(" or ")) for moment in moments],
        sample_dataset,
        workdir,
        dice,
        steps=steps,
    )
    # The save that a single kill meant to cut off may have been quicker.
    assert lost > 0 or len(moments) < 2
    for number in numbers:
        (process,) = start(sample_dataset, workdir, *options(steps), "--config.data.workers=2")
        wait_for(later(lambda: trained_step(workdir)), [process])
        assert stop(process, number, seconds=STOP_SECONDS) == 75
        # A multiple of two is logged, the step after it is not.
        assert max(saved_steps(workdir)) - trained_step(workdir) in (0, 1)
    assert finish(start(sample_dataset, workdir, *options(steps))) == [0]
    assert_identical(workdir, expected)


@pytest.mark.soak
def test_a_second_signal_ends_a_run_at_once_and_costs_only_the_steps_since_the_last_checkpoint(
    sample_dataset, straight, tmp_path, dice
):
    expected, workdir = straight(20), tmp_path / "run"
    for moment in ("step", "save", "evaluation"):
        (process,) = start(sample_dataset, workdir, *options(20), "--config.data.workers=2")
        MOMENTS[moment].wait(process, workdir, dice, 20)
        # Sooner they would count as one; a quick run may have saved and ended by then.
        code = stop(
            process,
            signal.SIGTERM,
            signal.SIGINT,
            seconds=AT_ONCE_SECONDS,
            pause=SAME_SECONDS + 0.1,
        )
        assert code in (128 + signal.SIGINT, 75)
    assert finish(start(sample_dataset, workdir, *options(20))) == [0]
    assert_identical(workdir, expected)


@pytest.mark.soak
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_during_start_up_ends_a_run_at_once(
    sample_dataset, tmp_path, dice, monkeypatch, number
):
    # Everything is compiled anew, so that most of it is compilation.
    monkeypatch.setenv("JAX_ENABLE_COMPILATION_CACHE", "false")
    for start_up in range(4):
        workdir = tmp_path / str(start_up)
        (process,) = start(sample_dataset, workdir, "--config.data.workers=2")
        wait_for((workdir / "lock").exists, [process])
        time.sleep(dice.uniform(0, 10))
        assert stop(process, number, seconds=AT_ONCE_SECONDS) == 75
        # On fast cores the first step may be done.
        assert (
            saved_steps(workdir)
            or "nothing to save" in log_file(workdir).read_text().splitlines()[-1]
        )
