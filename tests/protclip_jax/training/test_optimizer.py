import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from protclip_jax.training.optimizer import flatten, learning_rate_schedule, make_optimizer, partition, unflatten
from tests.support import tiny

FLAT = {"text/a/kernel": jnp.ones(3), "protein/b/kernel": jnp.ones(2), "head/kernel": jnp.ones(4)}


def config(**changes):
    base = protclip_650m.get_config().optimizer
    base.update({"learning_rate": 0.1, "warmup_fraction": 0.1, **changes})
    return base


def test_flatten_has_an_inverse():
    assert flatten(unflatten(FLAT)).keys() == FLAT.keys()


def test_frozen_parameters_have_neither_gradient_nor_state():
    groups = (("^text/", "frozen"), (".", 1.0))
    trainable, frozen = partition(FLAT, groups)
    assert list(frozen) == ["text/a/kernel"]
    optimizer = make_optimizer(config(groups=groups), trainable, 10)
    shapes = {leaf.shape for leaf in jax.tree.leaves(optimizer.init(trainable))}
    assert (3,) not in shapes
    assert {(2,), (4,)} <= shapes


def test_multipliers_scale_each_groups_update():
    groups = (("^text/", "frozen"), ("^protein/", 0.5), (".", 1.0))
    trainable, _ = partition(FLAT, groups)
    optimizer = make_optimizer(config(groups=groups, schedule="constant", warmup_fraction=0.0), trainable, 10)
    state = optimizer.init(trainable)
    grads = jax.tree.map(lambda x: 0.3 * x, trainable)
    for _ in range(2):
        updates, state = optimizer.update(grads, state, trainable)
    # Adam's step on a constant gradient is the learning rate itself.
    np.testing.assert_allclose(updates["head/kernel"], -0.1, rtol=1e-5)
    np.testing.assert_allclose(updates["protein/b/kernel"], -0.05, rtol=1e-5)


@pytest.mark.parametrize("groups", [(("^text/", 1.0),), ((".", 1.0), ("^protein/", 0.5)), (("nothing", "frozen"), (".", 1.0))])
def test_unmatched_parameters_and_unused_patterns_are_refused(groups):
    with pytest.raises(UserError, match=r"optimizer\.groups"):
        partition(FLAT, groups)


def test_weight_decay_spares_gains_biases_and_scales():
    everything = (("rotary_inv_freq", "frozen"), (".", 1.0))
    trainable, _ = partition(flatten(tiny.params()), everything)
    changes = {"groups": everything, "weight_decay": 0.1, "schedule": "constant"}
    optimizer = make_optimizer(config(**changes), trainable, 10)
    without_gradient = jax.tree.map(jnp.zeros_like, trainable)
    state = optimizer.init(trainable)
    for _ in range(2):
        updates, state = optimizer.update(without_gradient, state, trainable)
    moved = {path.rpartition("/")[2] for path, update in updates.items() if jnp.any(update)}
    assert moved == {"kernel", "embedding", "prototypes"}
    kernel = "protein_projection/input/kernel"
    # AdamW: learning rate · decay · weight.
    np.testing.assert_allclose(updates[kernel], -0.1 * 0.1 * trainable[kernel], rtol=1e-6)


def test_decay_patterns_that_match_nothing_are_refused():
    with pytest.raises(UserError, match=r"optimizer\.undecayed names 'gamma\$'"):
        make_optimizer(config(weight_decay=0.1, undecayed=("gamma$",), groups=((".", 1.0),)), FLAT, 10)


@pytest.mark.parametrize(("schedule", "middle"), [("linear", 0.05), ("cosine", 0.05), ("constant", 0.1)])
def test_schedules_warm_up_then_decay(schedule, middle):
    rate = learning_rate_schedule(config(schedule=schedule), 100)
    assert rate(0) == 0
    np.testing.assert_allclose(rate(5), 0.05, rtol=1e-6)
    np.testing.assert_allclose(rate(10), 0.1, rtol=1e-6)
    np.testing.assert_allclose(rate(55), middle, rtol=1e-6)
    with pytest.raises(UserError, match="'none' is unknown"):
        learning_rate_schedule(ConfigDict({**config(), "schedule": "none"}), 100)
