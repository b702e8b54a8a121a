"""Names of abstract devices, and their properties that need no compiler."""

import importlib.util

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.aot import gpus
from protclip_jax.aot.topology import rates_of, topology_devices
from protclip_jax.distributed.chips import GIB, GPUS, MULTIPROCESSORS, TPUS, peak_flops


@pytest.mark.parametrize(
    "topology", ["h300:8", "h100", "h100:0", "h100:8x0", "h100:8x2x2", "h100:4.5", ":8"]
)
def test_an_unknown_topology_is_one_sentence(topology):
    with pytest.raises(UserError, match=f"--aot={topology}; .*v5e:8x8") as raised:
        topology_devices(topology)
    assert "h100, h200" in str(raised.value)


@pytest.mark.skipif(
    importlib.util.find_spec("jax_plugins") is not None, reason="a CUDA plugin is installed"
)
def test_a_missing_compiler_is_one_sentence():
    expected = r"^--aot=h100:8 needs the GPU compiler .*; run `pip install -e '\.\[gpu-aot\]'`"
    with pytest.raises(UserError, match=expected):
        topology_devices("h100:8")


def test_jax_takes_three_quarters_of_a_gpu_unless_it_is_reported_otherwise(monkeypatch):
    monkeypatch.delenv(gpus.FRACTION, raising=False)
    assert rates_of("a100:8").memory_bytes == int(0.75 * 79.2 * GIB)
    monkeypatch.setenv(gpus.FRACTION, "0.92")
    assert rates_of("a100:8").memory_bytes == int(0.92 * 79.2 * GIB)


def test_the_slowest_link_bounds_the_exchange():
    assert rates_of("h100:8").link_bytes == 450e9
    assert rates_of("h100:8x2").link_bytes == gpus.NETWORK_BYTES
    assert rates_of("l4:4x2").link_bytes == GPUS["l4"].link_bytes < gpus.NETWORK_BYTES
    assert rates_of("v5e:8x8").link_bytes == TPUS["v5e"].link_bytes


@pytest.mark.parametrize("kind", GPUS)
def test_every_card_has_a_description(kind):
    """The compiler needs all limits of a multiprocessor."""
    gpu = GPUS[kind]
    text = gpus.target_config(gpu)
    assert f"threads_per_core_limit: {MULTIPROCESSORS[gpu.capability].threads}\n" in text
    assert f"core_count: {gpu.multiprocessors} " in text
    assert text.count("{") == text.count("}") == 3
    # Tensor cores are at least as fast as the other units, which do two FLOP per clock and unit.
    units = gpu.multiprocessors * MULTIPROCESSORS[gpu.capability].fp32_units
    assert gpu.peak_flops >= 0.95 * 2 * units * gpu.clock_ghz * 1e9
    assert gpu.memory_bytes_per_second < 1e13
    assert gpu.link_bytes < gpu.memory_bytes_per_second


@pytest.mark.parametrize(
    ("kind", "peak"),
    [
        ("TPU v5 lite", 197e12),
        ("TPU v5", 459e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA L4", 121e12),
        ("NVIDIA L40S", 362e12),
        # Except for L4, A10G and H200.
        ("NVIDIA L40", None),
        ("NVIDIA A10", None),
        ("NVIDIA H20", 148e12),
        ("cpu", None),
    ],
)
def test_a_peak_is_that_of_the_whole_name(kind, peak):
    assert peak_flops(kind) == peak
