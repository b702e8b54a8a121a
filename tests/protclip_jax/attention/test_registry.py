"""The backends' declared properties are consistent, and each backend is found by its name."""

import enum

import jax
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.attention import triton
from protclip_jax.attention.backend import AttentionBackend, Target
from protclip_jax.attention.registry import (
    AUTO,
    BACKENDS,
    backend_for,
    defaults,
    for_cross_attention,
)
from tests.support.paths import ROOT

MODERN = "NVIDIA H100 80GB HBM3"
"""All JAX versions know it by name."""


def test_every_backend_of_the_folder_is_registered_by_its_name():
    """A second backend with the same name would replace the first."""
    folder = ROOT / "protclip_jax/attention"
    sources = [path.read_text() for path in folder.glob("*.py")]
    classes = [text for text in sources if "(AttentionBackend):" in text]
    assert len(BACKENDS) == len(classes) > 1
    assert AUTO not in BACKENDS


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_a_platform_has_a_default_which_computes_every_dtype(platform):
    best, *_ = defaults(platform)
    for dtype in ("float32", "bfloat16"):
        assert best.lacking(Target(platform, MODERN), dtype) is None
        assert backend_for(AUTO, Target(platform, MODERN), dtype) == best.name


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_what_stands_in_for_the_cross_attention_runs_wherever_the_backend_does(name):
    stand_in = BACKENDS[for_cross_attention(name)]
    assert for_cross_attention(stand_in.name) == stand_in.name
    for platform in BACKENDS[name].platforms or ("cpu", "gpu", "tpu"):
        for dtype in BACKENDS[name].dtypes:
            assert stand_in.lacking(Target(platform, MODERN), dtype) is None


def test_a_backend_says_all_that_it_could_run_on():
    class Narrow(AttentionBackend):
        name = "narrow"
        platforms = ("gpu", "tpu")
        dtypes = ("bfloat16", "float16")

    cpu, tpu = Target("cpu"), Target("tpu")
    assert Narrow().lacking(cpu, "bfloat16") == "a gpu or tpu, not a cpu"
    assert Narrow().lacking(tpu, "float32") == "model.dtype='bfloat16' or 'float16', not 'float32'"


def test_other_platforms_take_a_backend_by_its_name():
    assert backend_for("dense", Target("metal"), "float32") == "dense"
    with pytest.raises(UserError, match="metal .*model.attention .*blockwise or dense"):
        backend_for(AUTO, Target("metal"), "float32")


@pytest.mark.parametrize(
    "find", [for_cross_attention, lambda name: backend_for(name, Target("cpu"), "float32")]
)
def test_an_unknown_name_is_met_with_the_known_ones(find):
    with pytest.raises(ValueError, match="'fast'.* blockwise, cudnn, dense, splash, triton"):
        find("fast")


@pytest.mark.parametrize(
    ("kind", "capability", "computes"),
    [
        ("NVIDIA A100-SXM4-80GB", (8, 0), True),
        ("NVIDIA L40S", (8, 9), True),
        ("NVIDIA B200", (10, 0), True),
        ("NVIDIA GeForce RTX 5090", (12, 0), True),
        ("Tesla T4", (7, 5), False),
        ("Tesla V100-SXM2-16GB", (7, 0), False),
    ],
)
def test_kernels_for_gpus_go_by_the_capability(kind, capability, computes, monkeypatch):
    monkeypatch.setattr(triton, "LISTED_ONLY", ())
    assert (
        BACKENDS["triton"].lacking(Target("gpu", kind, capability), "bfloat16") is None
    ) == computes


def test_a_jax_that_knows_gpus_by_name_has_kernels_for_those_alone(monkeypatch):
    class GpuVersion(enum.Enum):
        A10 = "NVIDIA A10"
        A100 = "NVIDIA A100"

    monkeypatch.setattr(triton, "LISTED_ONLY", (jax.__version_info__,))
    monkeypatch.setattr(triton.plgpu, "GpuVersion", GpuVersion, raising=False)
    lacking = BACKENDS["triton"].lacking
    assert lacking(Target("gpu", "NVIDIA A100-SXM4-80GB", (8, 0)), "bfloat16") is None
    expected = "a JAX that compiles its kernels for the NVIDIA A10G, such as 0.11.2"
    assert lacking(Target("gpu", "NVIDIA A10G", (8, 6)), "bfloat16") == expected


def test_devices_are_told_apart_by_what_jax_says_of_them():
    class Device:
        platform, device_kind, compute_capability = "gpu", "NVIDIA B200", "10.0"

    class Radeon:
        platform, device_kind, compute_capability = "gpu", "AMD Instinct MI300X", "gfx942"

    assert Target.of(Device()) == ("gpu", "NVIDIA B200", (10, 0))
    assert Target.of(Radeon()) == ("gpu", "AMD Instinct MI300X", None)
    assert Target.of(jax.devices("cpu")[0]) == ("cpu", "cpu", None)
