"""Scales stay at or below 100, and a scale at the bound can decrease again."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs import protclip_650m
from protclip_jax.config.build import model_config
from protclip_jax.config.schema import FIELDS
from protclip_jax.models.initialize import abstract_params
from protclip_jax.models.logit_scale import BOUNDED, bound_scales, logged_scales
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive
from protclip_jax.training.optimizer import flatten
from tests.support import tiny


def test_every_scale_of_the_model_is_bounded():
    params = flatten(tiny.params())
    scales = {path for path in params if path.endswith("_scale/log")}
    assert scales == set(BOUNDED)
    high = params | dict.fromkeys(scales, jnp.float32(9.0))
    bounded = bound_scales(high)
    for path in scales:
        np.testing.assert_allclose(np.exp(bounded[path]), 100.0, rtol=1e-6)
        np.testing.assert_array_equal(bound_scales(params)[path], params[path])
    others = params.keys() - scales
    assert all(bounded[path] is params[path] for path in others)


def test_the_sigmoid_contrast_begins_as_siglips_and_is_neither_bounded_nor_decayed():
    model = tiny.model()
    learnt = flatten(model.init(jax.random.key(0), method="sigmoid_scale_and_bias")["params"])
    assert learnt.keys() == {"sigmoid_scale/log", "sigmoid_bias/bias"}
    np.testing.assert_allclose(np.exp(learnt["sigmoid_scale/log"]), 10.0, rtol=1e-6)
    assert learnt["sigmoid_bias/bias"] == -10
    high = dict.fromkeys(learnt, jnp.float32(9.0))
    assert bound_scales(high) == high
    spared = FIELDS["optimizer.undecayed"].default
    for path in learnt:
        assert any(re.search(pattern, path) for pattern in spared)


def test_a_model_has_its_scale_and_bias_only_where_it_is_trained():
    config = protclip_650m.get_config()
    config.loss.sigmoid = 0.5
    model = tiny.model()
    with_sigmoid = ProtCLIPModel(dataclasses.replace(model.config, sigmoid=True))
    more = abstract_params(with_sigmoid).keys() - abstract_params(model).keys()
    assert more == {"sigmoid_scale", "sigmoid_bias"}
    assert model_config(config, text_vocab_size=10).sigmoid
    assert not model_config({"model": config.model}, text_vocab_size=10).sigmoid


def test_the_metrics_have_every_scale_that_is_there():
    scales = logged_scales(tiny.sigmoid_params())
    np.testing.assert_allclose(scales.pop("sigmoid_scale"), np.e, rtol=1e-6)
    assert scales.pop("sigmoid_bias") == -0.5
    assert logged_scales(tiny.params()) == scales
    assert scales.keys() == {"logit_scale", "segment_logit_scale"}


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


@pytest.fixture
def pairs():
    """Texts in families of near duplicates, with proteins that match them well or badly."""
    rng = np.random.default_rng(3)
    families = np.repeat(rng.normal(size=(4, 16)), 4, axis=0)
    text = unit(families + 0.15 * rng.normal(size=families.shape))
    return text, [unit(text + noise * rng.normal(size=text.shape)) for noise in (0.005, 0.2)]


def test_a_scale_at_the_bound_comes_back_when_a_smaller_one_is_better(pairs):
    text, (aligned, noisy) = pairs
    hashes, real = jnp.arange(len(text), dtype=jnp.uint32), jnp.ones(len(text), bool)

    def loss(log, protein):
        both = Pairs(jnp.float32(protein), jnp.float32(text), real, hashes, hashes)
        return global_contrastive(
            both, both, first=0, logit_scale=log, mask_duplicates=False
        ).value()

    grid = np.linspace(0, math.log(100), 400, dtype=np.float32)
    losses = jax.jit(jax.vmap(loss, in_axes=(0, None)))(jnp.array(grid), noisy)
    best = grid[np.argmin(losses)]
    optimizer, slope = optax.adam(0.02), jax.jit(jax.grad(loss))
    params = {"logit_scale/log": jnp.float32(math.log(60))}
    state = optimizer.init(params)
    for protein, steps in ((aligned, 60), (noisy, 600)):
        for _ in range(steps):
            gradient = {"logit_scale/log": slope(params["logit_scale/log"], protein)}
            updates, state = optimizer.update(gradient, state)
            params = bound_scales(optax.apply_updates(params, updates))
        if protein is aligned:
            np.testing.assert_allclose(params["logit_scale/log"], math.log(100), rtol=1e-6)
    np.testing.assert_allclose(params["logit_scale/log"], best, atol=0.05)
