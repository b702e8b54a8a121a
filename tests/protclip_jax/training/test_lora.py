"""Low-rank adapters: initial values, training against float64, checkpoints, allowed kernels."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import AxisType
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.best import RETRIEVAL
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.distributed import sharding
from protclip_jax.training.initial_state import init_optimizer, restored_state
from protclip_jax.training.lora import freeze_kernels, new_adapters, through_adapters
from protclip_jax.training.optimizer import flatten, partition
from protclip_jax.training.train_state import TrainState
from protclip_jax.training.train_step import make_train_step
from tests.protclip_jax.training.test_train_state import GivenBatch

KERNEL, OTHER = "protein/layers/qkv/kernel", "protein/layers/output/kernel"
A, B = f"lora/{KERNEL}/a", f"lora/{KERNEL}/b"
SHAPES = {
    KERNEL: (2, 4, 8),
    OTHER: (2, 8, 4),
    "head/kernel": (3,),
    "logit_scale/log": (),
    "segment_logit_scale/log": (),
}
RANK, ALPHA, RATE, DECAY = 2, 6.0, 0.1, 0.5
GROUPS = (("^protein/", "frozen"), (".", 1.0))
RULES = (("/layers/.*kernel$", "fsdp"), (".", "replicate"))


def config(**lora):
    fields = {"rank": RANK, "alpha": ALPHA, "targets": ("qkv/kernel$",), **lora}
    return ConfigDict({"lora": fields, "mesh": {"rules": RULES}, "seed": 3})


@pytest.fixture(scope="module")
def mesh():
    return jax.make_mesh((2, 4), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


@pytest.fixture(scope="module")
def params(mesh):
    rng = np.random.default_rng(0)
    values = {
        path: np.asarray(rng.normal(size=shape), np.float32) for path, shape in SHAPES.items()
    }
    return jax.device_put(values, sharding.param_shardings(SHAPES, mesh, RULES))


def make(params, mesh):
    """The step and initial state; the loss is that of kernels times the batch, and its square."""

    def loss_and_gradients(trainable, frozen, batch):
        assert trainable.keys() | frozen.keys() == SHAPES.keys()

        def loss(trainable):
            return (
                sum(jnp.sum((x * batch.gradients[path]) ** 2) for path, x in trainable.items()) / 2
            )

        total, gradients = jax.value_and_grad(loss)(trainable)
        return total, {}, gradients

    with_adapters = {**params, **new_adapters(params, config(), mesh)}
    trainable, frozen = freeze_kernels(*partition(jax.tree.map(jnp.copy, with_adapters), GROUPS))
    optimizer = optax.sgd(RATE)
    step = jax.device_put(jnp.int32(0), sharding.replicated(mesh))
    moments = init_optimizer(optimizer, trainable, mesh)
    state = TrainState(step, trainable, frozen, moments, jax.tree.map(jnp.copy, trainable))
    return make_train_step(through_adapters(loss_and_gradients), optimizer, state, DECAY), state


def batches(count):
    rng = np.random.default_rng(1)
    shapes = {path: shape for path, shape in SHAPES.items() if path != OTHER}
    found = []
    for _ in range(count):
        arrays = {path: np.asarray(rng.normal(size=s), np.float32) for path, s in shapes.items()}
        found.append(GivenBatch(arrays))
    return found


def run(step, state, some):
    for batch in some:
        state, _ = step(state, batch)
    return state


def test_training_begins_with_the_kernels_as_they_are(params, mesh):
    _, state = make(params, mesh)
    assert state.trainable.keys() == {A, B, *SHAPES} - {KERNEL, OTHER}
    assert (state.trainable[A].shape, state.trainable[B].shape) == ((2, 4, RANK), (2, RANK, 8))
    published = flatten(state.published)
    assert published.keys() == SHAPES.keys()
    np.testing.assert_array_equal(published[KERNEL], params[KERNEL])
    assert published[KERNEL].sharding.is_equivalent_to(params[KERNEL].sharding, 3)
    wide = {KERNEL: jnp.zeros((4, 64, 256))}
    drawn = np.asarray(new_adapters(wide, config(rank=64), mesh)[A])
    # A has 16,384 numbers, so that their standard deviation is well within 2 %.
    np.testing.assert_allclose(drawn.std(), 1 / np.sqrt(64), rtol=0.02)


def test_adapters_learn_as_in_float64_and_kernels_stay(params, mesh):
    step, state = make(params, mesh)
    kernel = np.asarray(params[KERNEL], np.float64)
    a, b = (np.asarray(state.trainable[path], np.float64) for path in (A, B))
    average_a, average_b = a, b
    for batch in batches(4):
        gradient = (kernel + ALPHA / RANK * a @ b) * np.float64(batch.gradients[KERNEL]) ** 2
        down, up = (
            ALPHA / RANK * gradient @ b.swapaxes(1, 2),
            ALPHA / RANK * a.swapaxes(1, 2) @ gradient,
        )
        a, b = a - RATE * down, b - RATE * up
        average_a, average_b = (
            DECAY * old + (1 - DECAY) * new for old, new in ((average_a, a), (average_b, b))
        )
    state = run(step, state, batches(4))
    for path, wanted in {A: a, B: b}.items():
        np.testing.assert_allclose(state.trainable[path], wanted, rtol=1e-4, atol=1e-5)
    for path in (KERNEL, OTHER):
        np.testing.assert_array_equal(state.frozen[path], params[path])
    merged = kernel + ALPHA / RANK * average_a @ average_b
    np.testing.assert_allclose(flatten(state.published)[KERNEL], merged, rtol=1e-4, atol=1e-5)


def test_training_goes_on_exactly_from_a_checkpoint(params, mesh, tmp_path):
    step, state = make(params, mesh)
    state = run(step, state, batches(4)[:2])
    with CheckpointManager(tmp_path, keep_best=1, best=RETRIEVAL) as saved:
        saved.save(
            2,
            params=state.published,
            optimizer=state.unpublished,
            data={"at": np.arange(3)},
            metrics={},
        )
    straight = run(step, state, batches(4)[2:])
    again, fresh = make(params, mesh)
    with CheckpointManager(tmp_path, keep_best=1, best=RETRIEVAL) as saved:
        restored, _ = restored_state(saved, 2, fresh, {"at": np.zeros(3, int)})
    resumed = run(again, restored, batches(4)[2:])
    jax.tree.map(np.testing.assert_array_equal, resumed[1:], straight[1:])


def test_a_target_that_is_no_kernel_of_a_layer_is_refused(params, mesh):
    with pytest.raises(UserError, match=r"lora\.targets.* 'head'"):
        new_adapters(params, config(targets=("qkv", "head")), mesh)
    assert new_adapters(params, config(rank=0), mesh) == {}
