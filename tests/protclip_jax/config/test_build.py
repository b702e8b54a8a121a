"""What a config becomes on the devices at hand."""

import pytest

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.config import build as config_lib


def with_attention(name):
    config = protclip_650m.get_config()
    config.model.attention = name
    return config


@pytest.mark.parametrize(
    ("asked", "platform", "given"),
    [
        ("auto", "cpu", "blockwise"),
        ("auto", "gpu", "triton"),
        ("auto", "tpu", "splash"),
        ("dense", "tpu", "dense"),
        ("splash", "tpu", "splash"),
        # A checkpoint trained on a TPU is read on a CPU.
        ("splash", "cpu", "blockwise"),
        ("triton", "tpu", "splash"),
        ("cudnn", "gpu", "cudnn"),
    ],
)
def test_attention_is_one_that_the_devices_compute(asked, platform, given):
    network = config_lib.model_config(with_attention(asked), text_vocab_size=10, platform=platform)
    assert network.protein.attention == network.text.attention == given


def test_attention_gives_way_where_the_dtype_is_another():
    """A checkpoint trained in bfloat16 is loaded in float32."""
    config = with_attention("cudnn")
    config.model.dtype = "float32"
    assert config_lib.model_config(config, text_vocab_size=10, platform="gpu").protein.attention == "triton"
    assert BACKENDS["cudnn"].lacking("gpu", "float32") == "model.dtype='bfloat16', not 'float32'"


def test_training_with_an_attention_of_other_devices_is_refused():
    config_lib.check_platform(with_attention("auto"))
    with pytest.raises(UserError, match="model.attention='splash' needs a tpu, not a cpu; use 'auto'"):
        config_lib.check_platform(with_attention("splash"))
