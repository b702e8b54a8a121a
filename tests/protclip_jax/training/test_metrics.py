import errno
import json
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog

from protclip_jax.objectives.mean import Mean
from protclip_jax.training.metrics import IntervalMetrics, MetricsWriter, cut_back, read_metrics


def test_a_resumed_run_cuts_the_record_back(tmp_path):
    writer = MetricsWriter(tmp_path, step=0)
    for step in (10, 20, 30):
        writer.write(step, {"loss": 1.0 / step, "mfu": None, "bad": float("nan")})
    writer.close()
    path = tmp_path / "metrics.jsonl"
    path.write_text(path.read_text() + '{"step": 40, "lo')
    writer = MetricsWriter(tmp_path, step=20)
    writer.write(25, {"loss": 7.0})
    writer.close()
    records = read_metrics(path)
    assert [record["step"] for record in records] == [10, 20, 25]
    assert records[0]["mfu"] is None
    assert records[0]["bad"] is None
    json.loads(path.read_text().splitlines()[0], parse_constant=pytest.fail)
    assert list((tmp_path / "tensorboard").iterdir())


def test_cutting_a_missing_record_back_is_nothing(tmp_path):
    cut_back(tmp_path / "metrics.jsonl", 5)
    assert not list(tmp_path.iterdir())


TOKENS = {
    "protein_tokens": 60,
    "text_tokens": 20,
    "slots": 100,
    "cropped_proteins": 1,
    "cut_text_tokens": 7,
}
WEIGHTS = {"gc": 2.0, "pda": 1.0}


def collect(interval, *losses):
    """Adds one step for each (sum, count) of the loss `gc`."""
    for total, count in losses:
        means = {
            "gc": Mean(jnp.float32(total), jnp.float32(count)),
            "pda": Mean(jnp.float32(0), jnp.float32(0)),
        }
        scalars = {"gradient_norm": jnp.float32(total)}
        step = {
            "losses": means,
            "pairs": jnp.int32(count),
            "scalars": scalars,
            "finite": jnp.bool_(np.isfinite(total)),
        }
        interval.add(step, TOKENS, 1e9)
    with interval.timed("step"):
        time.sleep(0.01)


def test_intervals_merge_sums_and_counts_not_means():
    interval = IntervalMetrics(heartbeat=lambda phase: None)
    collect(interval, (6.0, 1.0), (2.0, 3.0))
    summary = interval.summary(WEIGHTS)
    np.testing.assert_allclose(summary["loss/gc"], 8 / 4)
    np.testing.assert_allclose(summary["loss"], 4.0)
    assert summary["loss/pda"] == 0
    np.testing.assert_allclose(summary["padding_fraction"], 0.2)
    np.testing.assert_allclose(summary["tokens_per_second"] * summary["seconds/step"], 160)
    np.testing.assert_allclose(summary["pairs_per_second"] * summary["seconds/step"], 4)
    assert summary["mfu"] is None
    assert (summary["data/cropped_proteins"], summary["data/cut_text_tokens"]) == (2, 14)
    assert (summary["skipped_steps"], summary["gradient_norm"]) == (0, 2.0)


@pytest.mark.parametrize("cut", [0, 2, 3, 5])
def test_an_interval_that_a_checkpoint_cut_in_two_gives_the_same_numbers(cut):
    # Numbers whose float32 sum depends on the order.
    steps = [(0.1, 1.0), (1e7, 2.0), (0.7, 1.0), (0.9, 1.0), (0.3, 5.0), (0.2, 1.0)]
    whole, first, second = (IntervalMetrics(heartbeat=lambda phase: None) for _ in range(3))
    collect(whole, *steps)
    collect(first, *steps[:cut])
    second.continue_from(first.unfinished(WEIGHTS), WEIGHTS)
    collect(second, *steps[cut:])
    expected, got = whole.summary(WEIGHTS), second.summary(WEIGHTS)
    for name in expected.keys() | got.keys():
        if "second" not in name and name != "goodput":
            np.testing.assert_array_equal(got[name], expected[name], err_msg=name)


def test_time_is_shared_out_once(monkeypatch):
    phases = []
    with IntervalMetrics(heartbeat=phases.append) as interval:
        with interval.timed("input"):
            time.sleep(0.02)
        with interval.timed("step"):
            start = time.perf_counter()
            jax.jit(lambda x: jnp.sin(x) @ x)(jnp.ones((17, 17))).block_until_ready()
            compiling = time.perf_counter() - start
        collect(interval, (1.0, 1.0))
        summary = interval.summary(WEIGHTS)
    assert phases[:3] == ["input", "the phase after input", "step"]
    spent = {name: summary[f"seconds/{name}"] for name in ("input", "step", "compile", "total")}
    assert spent["input"] >= 0.02
    assert 0 < spent["compile"] < compiling
    assert spent["input"] + spent["step"] + spent["compile"] <= spent["total"]
    np.testing.assert_allclose(summary["goodput"], spent["step"] / spent["total"])


def events(folder):
    """The events of all files in TensorBoard's format: length, checksum, event, checksum."""
    read = []
    for path in sorted((folder / "tensorboard").iterdir()):
        content = path.read_bytes()
        while content:
            length = int.from_bytes(content[:8], "little")
            read.append(Event.FromString(content[12 : 12 + length]))
            content = content[16 + length :]
    return read


def test_tensorboard_gets_the_same_numbers_and_forgets_what_is_written_again(tmp_path):
    for first, steps in ((0, (10, 20)), (10, (20,))):
        writer = MetricsWriter(tmp_path, step=first)
        for step in steps:
            writer.write(step, {"loss": step / 4, "mfu": None, "bad": float("inf")})
        # Not closed, as in a killed run.
    found = [event for event in events(tmp_path) if event.HasField("summary")]
    scalars = []
    for event in found:
        values = [(value.tag, value.simple_value) for value in event.summary.value]
        scalars.append((event.step, values))
    assert scalars == [(10, [("loss", 2.5)]), (20, [("loss", 5.0)]), (20, [("loss", 5.0)])]
    begun = [
        event.step for event in events(tmp_path) if event.session_log.status == SessionLog.START
    ]
    assert begun == [1, 11]


def write_until_it_fails(writer):
    for step in range(10_000):
        writer.write(step, {f"loss/{name}": 1.0 for name in range(20)})


def test_a_full_disk_is_an_error_at_once_and_nothing_whole_is_lost(small_disk):
    folder = small_disk("256k")
    (folder / "other").write_bytes(bytes(64 << 10))
    with pytest.raises(OSError, match="No space left"):
        write_until_it_fails(MetricsWriter(folder, step=0))
    whole = [
        line
        for line in (folder / "metrics.jsonl").read_text().splitlines(keepends=True)
        if line.endswith("\n")
    ]
    assert len(whole) > 20
    (folder / "other").unlink()
    resumed = MetricsWriter(folder, step=len(whole) - 1)
    resumed.write(len(whole), {"loss": 1.0})
    assert [record["step"] for record in read_metrics(folder / "metrics.jsonl")] == list(
        range(len(whole) + 1)
    )


def test_a_disk_that_has_no_room_for_tensorboard_alone_is_an_error_too(small_disk, tmp_path):
    (tmp_path / "tensorboard").symlink_to(small_disk("16k"))
    errors = []

    def write():
        try:
            write_until_it_fails(MetricsWriter(tmp_path, step=0))
        except OSError as error:
            errors.append(error)

    # In a thread, because a writer that blocks forever would block the test.
    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    thread.join(60)
    assert [error.errno for error in errors] == [errno.ENOSPC]
