"""Initial parameters are float32, and the same whether or not 64-bit numbers are enabled."""

import jax
import numpy as np
import pytest
from jax.sharding import AxisType

from configs import quickstart
from protclip_jax.distributed import sharding
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.heads import PROTOTYPE_INITS
from protclip_jax.models.initialize import abstract_params, init_params, seed_key
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
from protclip_jax.training.lora import new_adapters
from protclip_jax.training.optimizer import flatten


def model(prototype_init):
    shape = {"num_layers": 1, "hidden_size": 8, "num_heads": 2, "intermediate_size": 16}
    text = BertConfig(**shape, vocab_size=11)
    options = {
        "projection_dim": 8,
        "num_prototypes": 4,
        "prototype_init": prototype_init,
        "sigmoid": True,
    }
    return ProtCLIPModel(ProtCLIPConfig(ESM2Config(**shape), text, **options))


def assert_same(first, second):
    assert first.keys() == second.keys()
    for path, leaf in first.items():
        assert leaf.dtype == second[path].dtype == np.float32, path
        np.testing.assert_array_equal(leaf, second[path], err_msg=path)


@pytest.mark.parametrize("prototype_init", PROTOTYPE_INITS)
@pytest.mark.parametrize("seed", [0, 2**40 + 3])
def test_64_bit_numbers_change_no_initial_parameter(prototype_init, seed):
    def params():
        return flatten(jax.jit(lambda key: init_params(model(prototype_init), key))(seed_key(seed)))

    plain = params()
    with jax.enable_x64(True):
        assert_same(params(), plain)


def test_64_bit_numbers_change_no_adapter():
    config = quickstart.get_config()
    config.lora.rank = 2
    params = flatten(init_params(model("unit"), seed_key(0)))
    mesh = sharding.make_mesh(-1, 1)
    plain = new_adapters(params, config, mesh)
    assert plain
    with jax.enable_x64(True):
        assert_same(new_adapters(params, config, mesh), plain)


def test_shapes_are_known_under_a_mesh_of_several_devices():
    """As when losses are evaluated while a run trains on several devices."""
    mesh = jax.make_mesh((8, 1), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    alone = abstract_params(model("unit"))
    with jax.set_mesh(mesh):
        assert abstract_params(model("unit")) == alone
