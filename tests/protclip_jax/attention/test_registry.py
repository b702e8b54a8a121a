"""What the backends say of themselves goes together, and each is found by its name."""

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import AttentionBackend
from protclip_jax.attention.registry import AUTO, BACKENDS, backend_for, for_cross_attention
from tests.support.paths import ROOT


def test_every_backend_of_the_folder_is_registered_by_its_name():
    """A second backend of a name would replace the first."""
    folder = ROOT / "protclip_jax/attention"
    classes = [text for path in folder.glob("*.py") if "(AttentionBackend):" in (text := path.read_text())]
    assert len(BACKENDS) == len(classes) > 1
    assert AUTO not in BACKENDS


@pytest.mark.parametrize("platform", ["cpu", "gpu", "tpu"])
def test_a_platform_has_one_default_which_computes_every_dtype(platform):
    (default,) = [backend for backend in BACKENDS.values() if backend.default_on == platform]
    for dtype in ("float32", "bfloat16"):
        assert default.lacking(platform, dtype) is None
        assert backend_for(AUTO, platform, dtype) == default.name


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_what_stands_in_for_the_cross_attention_runs_wherever_the_backend_does(name):
    stand_in = BACKENDS[for_cross_attention(name)]
    assert for_cross_attention(stand_in.name) == stand_in.name
    for platform in BACKENDS[name].platforms or ("cpu", "gpu", "tpu"):
        for dtype in BACKENDS[name].dtypes:
            assert stand_in.lacking(platform, dtype) is None


def test_a_backend_says_all_that_it_could_run_on():
    class Narrow(AttentionBackend):
        name = "narrow"
        platforms = ("gpu", "tpu")
        dtypes = ("bfloat16", "float16")

    assert Narrow().lacking("cpu", "bfloat16") == "a gpu or tpu, not a cpu"
    assert Narrow().lacking("tpu", "float32") == "model.dtype='bfloat16' or 'float16', not 'float32'"


def test_other_platforms_take_a_backend_by_its_name():
    assert backend_for("dense", "metal", "float32") == "dense"
    with pytest.raises(UserError, match="default on metal devices; set model.attention to blockwise or dense"):
        backend_for(AUTO, "metal", "float32")


@pytest.mark.parametrize("find", [for_cross_attention, lambda name: backend_for(name, "cpu", "float32")])
def test_an_unknown_name_is_met_with_the_known_ones(find):
    with pytest.raises(ValueError, match="'fast' is unknown; choose one of blockwise, cudnn, dense, splash, triton"):
        find("fast")
