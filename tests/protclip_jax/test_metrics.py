import json
import time

import jax.numpy as jnp
import numpy as np
import pytest

from protclip_jax.metrics import IntervalMetrics, MetricsWriter, cut_back, read_metrics
from protclip_jax.objectives.mean import Mean


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


def test_intervals_merge_sums_and_counts_not_means():
    interval = IntervalMetrics()
    tokens = {"protein_tokens": 60, "text_tokens": 20, "slots": 100, "cropped_proteins": 1, "cut_text_tokens": 7}
    for total, count in ((6.0, 1.0), (2.0, 3.0)):
        losses = {"gc": Mean(jnp.float32(total), jnp.float32(count)), "pda": Mean(jnp.float32(0), jnp.float32(0))}
        interval.add({"losses": losses, "pairs": jnp.int32(count), "scalars": {"gradient_norm": jnp.float32(3)}}, tokens, 1e9)
    with interval.timed("step"):
        time.sleep(0.01)
    summary = interval.summary({"gc": 2.0, "pda": 1.0})
    np.testing.assert_allclose(summary["loss/gc"], 8 / 4)
    np.testing.assert_allclose(summary["loss"], 4.0)
    assert summary["loss/pda"] == 0
    np.testing.assert_allclose(summary["padding_fraction"], 0.2)
    np.testing.assert_allclose(summary["tokens_per_second"] * summary["seconds/step"], 160)
    np.testing.assert_allclose(summary["pairs_per_second"] * summary["seconds/step"], 4)
    assert summary["mfu"] is None
    assert (summary["data/cropped_proteins"], summary["data/cut_text_tokens"]) == (2, 14)
