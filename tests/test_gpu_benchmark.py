"""`python -m benchmarks.gpu` without a GPU: what it compares and concludes, and in the long form
every part in small."""

import json
import subprocess
import sys

import jax
import pytest

from benchmarks.gpu import __main__ as benchmark
from benchmarks.gpu import embedding, memory, parity, tiles
from benchmarks.gpu.scale import SCALES
from protclip_jax.attention.backend import AttentionBackend
from protclip_jax.attention.registry import BACKENDS
from tests.support.paths import ROOT

TINY = SCALES["tiny"]._replace(tokens=64)


def test_an_attention_that_equals_dense_is_well():
    found = parity.compare("blockwise", "float32", TINY)
    assert found.keys() == {"value", "dq", "dk", "dv", "leaked"}
    assert found["leaked"] == 0
    assert max(found.values()) < 1e-5


def test_an_attention_that_ignores_segments_leaks_and_is_not_well(monkeypatch):
    class Leaking(AttentionBackend):
        name = "leaking"

        def attend(self, q, k, v, *, q_segment_ids, kv_segment_ids):
            return jax.nn.dot_product_attention(q, k, v)

    monkeypatch.setitem(BACKENDS, "leaking", Leaking())
    found = parity.compare("leaking", "float32", TINY)
    assert found["leaked"] > 0
    assert found["value"] > parity.TOLERANCE["float32"]


def test_tiles_are_measured_where_there_is_triton_alone():
    assert tiles.measure(TINY) == {}


@pytest.mark.parametrize(
    ("kind", "gib", "expected"),
    [
        ("NVIDIA A100-SXM4-80GB", 59, "a100"),
        ("NVIDIA A100-SXM4-40GB", 30, "a100-40gb"),
        ("NVIDIA H200", 104, "h200"),
        ("NVIDIA H100 80GB HBM3", 59, "h100"),
        ("NVIDIA GeForce GTX 1080", 8, None),
    ],
)
def test_a_card_is_found_by_its_name_and_memory(kind, gib, expected, monkeypatch):
    class Device:
        device_kind = kind

        def memory_stats(self):
            return {"bytes_limit": gib * 2**30}

    monkeypatch.setattr(jax, "devices", lambda: [Device()])
    assert memory.described_kind() == expected


def test_embedding_counts_real_tokens():
    drawn = embedding.sequences(50)
    assert all(embedding.SHORTEST <= len(protein) <= embedding.LONGEST for protein in drawn)
    assert drawn == embedding.sequences(50)


def test_a_part_that_fails_is_reported_and_ends_nothing(tmp_path):
    found = benchmark.run_part("nonsense", "tiny", tmp_path, 60)
    assert found["failed"].startswith("exit code 2")
    assert f"{tmp_path}/nonsense.log" in found["failed"]
    assert "invalid choice: 'nonsense'" in (tmp_path / "nonsense.log").read_text()
    assert benchmark.run_part("parity", "tiny", tmp_path, 5) == {"failed": "no time left"}


def test_verdicts_are_the_figures_beside_their_targets():
    figures = {"protein_tokens_per_second": 120_000.0, "mfu": 0.5}
    found = {
        "parity": {"well": True},
        "steps": {"packed, MLM alone": figures, "packed": {**figures, "mfu": 0.4}},
        "memory": {"aot_bytes": 20e9, "program_bytes": 21e9},
    }
    verdicts = benchmark.verdicts(found)
    assert verdicts["parity"]
    assert verdicts["mlm_tokens_per_second"] == 120_000.0
    assert verdicts["all_objectives_mfu"] == 0.4
    assert verdicts["program_over_aot"] == 1.05


def test_verdicts_of_parts_that_failed_are_unknown():
    found = {name: {"failed": "no time left"} for name in benchmark.PARTS}
    verdicts = benchmark.verdicts(found)
    del verdicts["targets_on_an_h200"]
    assert set(verdicts.values()) == {None}


@pytest.mark.soak
def test_every_part_runs_in_small(tmp_path):
    command = [sys.executable, "-m", "benchmarks.gpu", "--scale", "tiny", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["device"]["platform"] == "cpu"
    assert found["steps"]["packed"]["protein_tokens_per_second"] > 0
    assert found["memory"]["program_bytes"] > 0
    assert found["embedding"]["float32 tokens/s"] > 0
    assert any((tmp_path / "profile").rglob("*.xplane.pb"))
