"""The configs that come with the project describe networks that exist, and rules that fit them."""

import importlib
import math
import pathlib

import jax
import pytest
from jax.sharding import AxisType

from protclip_jax.config import build as config_lib
from protclip_jax.distributed import sharding
from protclip_jax.models.initialize import abstract_params
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.training.optimizer import flatten, make_optimizer, partition

PUBMEDBERT_VOCABULARY = 30522


def shapes(config):
    network = config_lib.model_config(config, text_vocab_size=PUBMEDBERT_VOCABULARY)
    return flatten(abstract_params(ProtCLIPModel(network)))


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in pathlib.Path("configs").glob("[!_]*.py"))
)
def test_rules_groups_and_objectives_fit_the_network(name):
    config = importlib.import_module(f"configs.{name}").get_config()
    params = shapes(config)
    mesh = jax.make_mesh((2, 4), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2)
    placed = sharding.param_shardings(
        {path: leaf.shape for path, leaf in params.items()}, mesh, config.mesh.rules
    )
    # Whatever grows with the number of layers is divided.
    stacks = [
        path for path, leaf in params.items() if "/layers/" in path and path.endswith("kernel")
    ]
    assert stacks
    assert not any(placed[path].is_fully_replicated for path in stacks)
    trainable, frozen = partition(params, config.optimizer.groups)
    assert "protein/rotary_inv_freq" in frozen
    # PubMedBERT and MiniLM, of six layers, are frozen; smaller text towers start from random
    # weights.
    assert any(
        path.startswith("text/")
        for path in (trainable if config.model.text.num_layers < 6 else frozen)
    )
    jax.eval_shape(make_optimizer(config.optimizer, trainable, 10).init, trainable)
    config_lib.objective_config(config)
    sharding.local_streams(mesh, config.batch.rows, config.data.streams)


def test_the_650m_config_has_the_released_models_parameters():
    """The released checkpoint holds 767,255,546 numbers; these of them have no place in the
    method."""
    width, text, dim = 1280, 768, 512
    unused = {
        "position table beside rotary positions": 1026 * width,
        "protein and text poolers": width * (width + 1) + text * (text + 1),
        "contact head": 660 + 1,
        "rotary frequencies of all layers but one": 32 * 32,
        "local cross-attention": 6 * dim * (dim + 1),
        "predictor": dim * 256 + 256 + 256 * dim + dim,
        "second local logit scale": 1,
    }
    params = shapes(importlib.import_module("configs.protclip_650m").get_config())
    assert sum(math.prod(leaf.shape) for leaf in params.values()) == 767_255_546 - sum(
        unused.values()
    )
