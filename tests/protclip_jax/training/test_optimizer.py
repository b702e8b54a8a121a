import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from ml_collections import ConfigDict

from configs import protclip_650m
from data_pipelines.common.errors import UserError
from protclip_jax.training.optimizer import (
    flatten,
    learning_rate_schedule,
    make_optimizer,
    partition,
    unflatten,
)
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
    optimizer = make_optimizer(
        config(groups=groups, schedule="constant", warmup_fraction=0.0), trainable, 10
    )
    state = optimizer.init(trainable)
    grads = jax.tree.map(lambda x: 0.3 * x, trainable)
    for _ in range(2):
        updates, state = optimizer.update(grads, state, trainable)
    # Adam's step for a constant gradient is the learning rate itself.
    np.testing.assert_allclose(updates["head/kernel"], -0.1, rtol=1e-5)
    np.testing.assert_allclose(updates["protein/b/kernel"], -0.05, rtol=1e-5)


@pytest.mark.parametrize(
    "groups",
    [(("^text/", 1.0),), ((".", 1.0), ("^protein/", 0.5)), (("nothing", "frozen"), (".", 1.0))],
)
def test_unmatched_parameters_and_unused_patterns_are_refused(groups):
    with pytest.raises(UserError, match=r"optimizer\.groups"):
        partition(FLAT, groups)


def test_a_run_that_would_train_nothing_is_refused():
    groups = ((".", "frozen"),)
    trainable, _ = partition(FLAT, groups)
    with pytest.raises(UserError, match=r"optimizer\.groups freezes every parameter"):
        make_optimizer(config(groups=groups), trainable, 10)


STACKS = {
    "protein/layers/qkv/kernel": (4, 2, 3),
    "protein/layers/norm/scale": (4, 2),
    "text/layers/qkv/kernel": (3, 2, 2),
    "head/kernel": (2, 2),
}
BY_LAYER = (("^protein/layers/", ["last", 2, 0.5]), ("^text/layers/", ("decay", 0.6)), (".", 1.0))
RATES = {
    "protein": np.array([0, 0, 0.5, 0.5]),
    "text": np.array([0.36, 0.6, 1.0]),
    "head": np.array([1.0]),
}
"""Learning rate of each layer of `STACKS` under `BY_LAYER`, worked out by hand."""


def rates_of(path):
    rates = RATES[path.partition("/")[0]]
    return rates.reshape(-1, *[1] * (len(STACKS[path]) - 1))


def normal_stacks(rng):
    return {path: rng.normal(size=shape).astype(np.float32) for path, shape in STACKS.items()}


def adamw(params, all_gradients, *, rate, decay, clip):
    """The parameters after these gradients in float64: Adam, decoupled decay, gradient clipping."""
    first = {path: np.zeros(shape) for path, shape in STACKS.items()}
    second = {path: np.zeros(shape) for path, shape in STACKS.items()}
    for step, gradients in enumerate(all_gradients, 1):
        trained = {
            path: (rates_of(path) > 0) * g.astype(np.float64) for path, g in gradients.items()
        }
        norm = np.sqrt(sum((g**2).sum() for g in trained.values()))
        for path, g in trained.items():
            g = g * min(1, clip / norm)
            first[path] = 0.9 * first[path] + 0.1 * g
            second[path] = 0.999 * second[path] + 0.001 * g**2
            update = (
                first[path] / (1 - 0.9**step) / (np.sqrt(second[path] / (1 - 0.999**step)) + 1e-8)
            )
            if not path.endswith("scale"):
                update += decay * params[path]
            params[path] = params[path] - rate(step - 1) * rates_of(path) * update
    return params


def test_layers_learn_at_rates_of_their_own_and_frozen_ones_count_for_nothing():
    rng = np.random.default_rng(0)
    params, *steps = (normal_stacks(rng) for _ in range(5))
    changes = {"groups": BY_LAYER, "schedule": "constant", "clip_norm": 1.0, "weight_decay": 0.1}
    optimizer = make_optimizer(config(**changes, warmup_fraction=0.5), params, 4)
    rate = learning_rate_schedule(config(schedule="constant", warmup_fraction=0.5), 4)
    trained, state = dict(params), optimizer.init(params)
    for gradients in steps:
        updates, state = jax.jit(optimizer.update)(gradients, state, trained)
        trained = optax.apply_updates(trained, updates)
    expected = adamw({**params}, steps, rate=lambda step: float(rate(step)), decay=0.1, clip=1.0)
    for path, wanted in expected.items():
        np.testing.assert_allclose(trained[path], wanted, rtol=1e-5, atol=1e-6, err_msg=path)
    kernel = "protein/layers/qkv/kernel"
    np.testing.assert_array_equal(trained[kernel][:2], params[kernel][:2])
    # Rules for layers do not change the layout of the optimiser state in checkpoints.
    plain = make_optimizer(config(**changes | {"groups": ((".", 1.0),)}), params, 4)
    chain, plain_chain = (jax.tree.structure(of.init(params)) for of in (optimizer, plain))
    assert chain.num_leaves == plain_chain.num_leaves


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            (("kernel", ("last", 1)), (".", 1.0)),
            r"optimizer\.groups .*head/kernel .*\^protein",
        ),
        (
            (("^protein/layers/", ("last", 5)), (".", 1.0)),
            r"optimizer\.groups .*\('last', 5\).* 4 layers",
        ),
    ],
)
def test_a_rule_for_layers_that_does_not_fit_is_refused(groups, message):
    params = {path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in STACKS.items()}
    with pytest.raises(UserError, match=message):
        make_optimizer(config(groups=groups), params, 10)


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
    with pytest.raises(UserError, match=r"optimizer\.undecayed.* 'gamma\$'"):
        make_optimizer(
            config(weight_decay=0.1, undecayed=("gamma$",), groups=((".", 1.0),)), FLAT, 10
        )


@pytest.mark.parametrize(
    ("schedule", "middle"), [("linear", 0.05), ("cosine", 0.05), ("constant", 0.1)]
)
def test_schedules_warm_up_then_decay(schedule, middle):
    rate = learning_rate_schedule(config(schedule=schedule), 100)
    assert rate(0) == 0
    np.testing.assert_allclose(rate(5), 0.05, rtol=1e-6)
    np.testing.assert_allclose(rate(10), 0.1, rtol=1e-6)
    np.testing.assert_allclose(rate(55), middle, rtol=1e-6)
    with pytest.raises(UserError, match=r"optimizer\.schedule='none'.* linear, cosine"):
        learning_rate_schedule(ConfigDict({**config(), "schedule": "none"}), 100)
