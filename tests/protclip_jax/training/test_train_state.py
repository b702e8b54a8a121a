"""Parameter averages: recursion, sharding, who reads them, and exact resumption."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType

from protclip_jax.checkpoints.best import RETRIEVAL
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.parameters import load_params
from protclip_jax.distributed import sharding
from protclip_jax.training.initial_state import init_optimizer, restored_state
from protclip_jax.training.optimizer import flatten
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import make_train_step

DECAY, RATE = 0.8, 0.5
KERNEL, FIXED = "protein/layers/qkv/kernel", "text/kernel"


class GivenBatch(NamedTuple):
    """Replaces a batch: holds the gradients that it leads to."""

    gradients: dict
    described: np.ndarray = np.ones((1, 2), bool)


def given(trainable, frozen, batch):
    return jnp.float32(1), {}, batch.gradients


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((2, 4), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def make(mesh, *, averaged):
    """The step and initial state; the kernel is sharded over four devices."""
    rng = np.random.default_rng(0)
    shapes = {KERNEL: (2, 3, 8), FIXED: (4,), "logit_scale/log": (), "segment_logit_scale/log": ()}
    values = {
        path: np.asarray(rng.normal(size=shape), np.float32) for path, shape in shapes.items()
    }
    rules = (("qkv/kernel$", "fsdp"), (".", "replicate"))
    trainable = jax.device_put(values, sharding.param_shardings(shapes, mesh, rules))
    frozen = {FIXED: trainable.pop(FIXED)}
    optimizer = optax.sgd(RATE, momentum=0.5)
    step = jax.device_put(jnp.int32(0), sharding.replicated(mesh))
    moments = init_optimizer(optimizer, trainable, mesh)
    state = TrainState(
        step, trainable, frozen, moments, jax.tree.map(jnp.copy, trainable) if averaged else None
    )
    return make_train_step(given, optimizer, state, DECAY), state


def batches(count):
    rng = np.random.default_rng(1)
    made = []
    for _ in range(count):
        scales = {
            f"{name}/log": np.float32(rng.normal())
            for name in ("logit_scale", "segment_logit_scale")
        }
        made.append(GivenBatch({KERNEL: rng.normal(size=(2, 3, 8)).astype(np.float32), **scales}))
    return made


def run(step, state, some):
    for batch in some:
        state, metrics = step(state, batch)
    return state, metrics


def on_host(tree):
    return jax.tree.map(np.array, tree)


def test_averages_follow_the_recursion_and_skip_what_is_not_finite(mesh):
    step, state = make(mesh, averaged=True)
    some = batches(5)
    some[2].gradients[KERNEL][0, 0, 0] = np.nan
    value = np.asarray(state.trainable[KERNEL], np.float64)
    average, velocity = value, 0
    for batch in some[:2] + some[3:]:
        velocity = 0.5 * velocity + batch.gradients[KERNEL]
        value = value - RATE * velocity
        average = DECAY * average + (1 - DECAY) * value
    state, metrics = run(step, state, some)
    np.testing.assert_allclose(state.trainable[KERNEL], value, rtol=1e-5)
    np.testing.assert_allclose(state.averaged[KERNEL], average, rtol=1e-5)
    apart = {
        path: np.float64(state.trainable[path]) - state.averaged[path] for path in state.averaged
    }
    wanted = np.sqrt(sum((difference**2).sum() for difference in apart.values()))
    np.testing.assert_allclose(metrics["scalars"]["ema_distance"], wanted, rtol=1e-5)
    # Sharded as the parameter.
    assert state.averaged[KERNEL].sharding == state.trainable[KERNEL].sharding
    assert not state.averaged[KERNEL].is_fully_replicated


def test_a_parameter_that_does_not_change_is_its_own_average(mesh):
    step, state = make(mesh, averaged=True)
    zeros = [jax.tree.map(np.zeros_like, batch) for batch in batches(3)]
    first = on_host(state.trainable)
    state, _ = run(step, state, [zero._replace(described=np.ones((1, 2), bool)) for zero in zeros])
    jax.tree.map(np.testing.assert_array_equal, on_host(state.averaged), first)


@pytest.mark.parametrize("averaged", [True, False])
def test_readers_get_the_averages_and_training_goes_on_exactly(mesh, tmp_path, averaged):
    step, state = make(mesh, averaged=averaged)
    some = batches(4)
    state, _ = run(step, state, some[:2])
    seen = flatten(on_host(state.published))
    with CheckpointManager(tmp_path, keep_best=1, best=RETRIEVAL) as saved:
        saved.save(
            2,
            params=state.published,
            optimizer=state.unpublished,
            data={"at": np.arange(3)},
            metrics={},
        )
    abstract = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state.published
    )
    loaded = flatten(on_host(load_params(tmp_path, 2, abstract)))
    np.testing.assert_array_equal(loaded[FIXED], state.frozen[FIXED])
    of_readers = state.averaged if averaged else state.trainable
    for path in of_readers:
        np.testing.assert_array_equal(loaded[path], of_readers[path])
        np.testing.assert_array_equal(seen[path], of_readers[path])
    assert np.any(loaded[KERNEL] != np.asarray(state.trainable[KERNEL])) == averaged
    # Without averages a checkpoint contains only parameters and optimiser state.
    assert (state.unpublished is state.optimizer) == (not averaged)

    straight, _ = run(step, state, some[2:])
    again, fresh = make(mesh, averaged=averaged)
    with CheckpointManager(tmp_path, keep_best=1, best=RETRIEVAL) as saved:
        restored, _ = restored_state(saved, 2, fresh, {"at": np.zeros(3, int)})
    assert int(restored.step) == 2
    resumed, _ = run(again, restored, some[2:])
    jax.tree.map(np.testing.assert_array_equal, on_host(resumed), on_host(straight))
