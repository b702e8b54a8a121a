"""What a config becomes on the devices at hand."""

import re

import pytest

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from protclip_jax.attention.backend import Target
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.config import build as config_lib

CPU, TPU = Target("cpu", "cpu"), Target("tpu", "TPU v5e")
A100 = Target("gpu", "NVIDIA A100-SXM4-80GB", (8, 0))
T4 = Target("gpu", "Tesla T4", (7, 5))


def with_attention(name):
    config = protclip_650m.get_config()
    config.model.attention = name
    return config


@pytest.mark.parametrize(
    ("asked", "target", "given"),
    [
        ("auto", CPU, "blockwise"),
        ("auto", A100, "triton"),
        ("auto", TPU, "splash"),
        # Too old for Triton and cuDNN's flash kernel.
        ("auto", T4, "blockwise"),
        ("triton", T4, "blockwise"),
        ("cudnn", T4, "blockwise"),
        ("dense", TPU, "dense"),
        ("splash", TPU, "splash"),
        # A checkpoint trained on a TPU is read on a CPU.
        ("splash", CPU, "blockwise"),
        ("triton", TPU, "splash"),
        ("cudnn", A100, "cudnn"),
    ],
)
def test_attention_is_one_that_the_devices_compute(asked, target, given):
    network = config_lib.model_config(with_attention(asked), text_vocab_size=10, target=target)
    assert network.protein.attention == network.text.attention == given


def test_attention_gives_way_where_the_dtype_is_another():
    """A checkpoint trained in bfloat16 is loaded in float32."""
    config = with_attention("cudnn")
    config.model.dtype = "float32"
    network = config_lib.model_config(config, text_vocab_size=10, target=A100)
    assert network.protein.attention == "triton"
    assert BACKENDS["cudnn"].lacking(A100, "float32") == "model.dtype='bfloat16', not 'float32'"


def test_training_with_an_attention_of_other_devices_is_refused():
    config_lib.check_platform(with_attention("auto"))
    with pytest.raises(
        UserError, match="model.attention='splash' needs a tpu, not a cpu; use 'auto'"
    ):
        config_lib.check_platform(with_attention("splash"))


def test_a_gpu_that_is_too_old_is_named(monkeypatch, capsys):
    monkeypatch.setattr(config_lib, "own_target", lambda: T4)
    needed = r"a GPU of compute capability 8.0, not 7.5 \(Tesla T4\)"
    for name in ("triton", "cudnn"):
        with pytest.raises(UserError, match=f"model.attention='{name}' needs {needed}; use 'auto'"):
            config_lib.check_platform(with_attention(name))
    config_lib.check_platform(with_attention("auto"))
    printed = capsys.readouterr().err
    assert re.fullmatch(f"note: attention is blockwise; triton needs {needed}.\n", printed)


def test_nothing_is_reported_where_auto_gets_the_best(monkeypatch, capsys):
    for target in (CPU, A100, TPU):
        monkeypatch.setattr(config_lib, "own_target", lambda target=target: target)
        config_lib.check_platform(with_attention("auto"))
    assert capsys.readouterr().err == ""
