import jax
import jax.numpy as jnp
import pytest

from protclip_jax.training.profiler import Profiler


@pytest.fixture
def calls(monkeypatch):
    made = []
    monkeypatch.setattr(jax.profiler, "start_trace", lambda folder: made.append(f"start {folder}"))
    monkeypatch.setattr(jax.profiler, "stop_trace", lambda: made.append("stop"))
    return made


def follow(calls, trace, steps):
    with trace:
        for step in steps:
            trace.before(step)
            calls.append(step)


def test_the_steps_asked_for_are_traced(calls, tmp_path):
    follow(calls, Profiler(tmp_path, first=2, steps=2), range(6))
    assert calls == [0, 1, f"start {tmp_path}", 2, 3, "stop", 4, 5]


def test_a_run_that_ends_within_them_ends_the_trace(calls, tmp_path):
    follow(calls, Profiler(tmp_path, first=1, steps=9), range(2))
    assert calls == [0, f"start {tmp_path}", 1, "stop"]


def test_nothing_is_traced_unasked(calls, tmp_path):
    follow(calls, Profiler(tmp_path, first=1, steps=0), range(3))
    assert calls == [0, 1, 2]


def test_a_trace_is_written(tmp_path):
    with Profiler(tmp_path, first=0, steps=1) as trace:
        trace.before(0)
        jnp.ones(3).block_until_ready()
        trace.before(1)
    assert list(tmp_path.rglob("*.xplane.pb"))
