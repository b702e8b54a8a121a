import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from data_pipelines.errors import UserError
from protclip_jax import sharding
from protclip_jax.forward import ObjectiveConfig
from protclip_jax.optimizer import flatten, partition
from protclip_jax.train_step import loss_and_gradients
from tests.protclip_jax import tiny

RULES = (("(kernel|embedding)$", "fsdp"), (".", "replicate"))


def mesh_of(data, fsdp):
    devices = jax.devices()[: data * fsdp]
    return jax.make_mesh((data, fsdp), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2, devices=devices)


@pytest.fixture(scope="module")
def batch():
    made = tiny.examples(tiny.records(20))
    return tiny.pack([made[0:3], made[3:5], made[5:8], [], made[8:12], made[12:13], made[13:17], made[17:20]])


def run(batch, mesh):
    """(total, losses, gradients) of the tiny model on a mesh, as NumPy arrays."""
    flat = flatten(tiny.params())
    flat = {path: np.asarray(leaf) for path, leaf in flat.items()}
    specs = sharding.param_shardings({path: leaf.shape for path, leaf in flat.items()}, mesh, RULES)
    placed = {path: jax.device_put(leaf, specs[path]) for path, leaf in flat.items()}
    trainable, frozen = partition(placed, (("inv_freq", "frozen"), (".", 1.0)))
    with jax.set_mesh(mesh):
        step = jax.jit(lambda *args: loss_and_gradients(tiny.model(), ObjectiveConfig(), *args))
        result = step(trainable, frozen, sharding.global_batch(batch, mesh, 8))
    return jax.tree.map(np.asarray, result)


@pytest.fixture(scope="module")
def on_one_device(batch):
    return run(batch, mesh_of(1, 1))


SOAK = [(2, 1), (4, 1), (1, 8)]


@pytest.mark.parametrize(("data", "fsdp"), [(8, 1), (2, 4), *(pytest.param(*mesh, marks=pytest.mark.soak) for mesh in SOAK)])
def test_loss_and_gradients_do_not_depend_on_the_devices(batch, on_one_device, data, fsdp):
    total, losses, grads = run(batch, mesh_of(data, fsdp))
    expected_total, expected_losses, expected_grads = on_one_device
    np.testing.assert_allclose(total, expected_total, rtol=1e-5)
    for name, mean in expected_losses.items():
        np.testing.assert_allclose(losses[name].count, mean.count)
        np.testing.assert_allclose(losses[name].sum, mean.sum, rtol=1e-5)
    for path, grad in expected_grads.items():
        np.testing.assert_allclose(grads[path], grad, atol=1e-5 * max(1.0, np.abs(grad).max()), err_msg=path)


def test_rules_shard_the_largest_divisible_dimension():
    shapes = {"a/kernel": (2, 16, 24), "a/bias": (24,), "b/embedding": (33, 8)}
    found = sharding.param_shardings(shapes, mesh_of(1, 8), RULES)
    assert found["a/kernel"].spec == PartitionSpec(None, None, "fsdp")
    assert found["b/embedding"].spec == PartitionSpec(None, "fsdp")
    assert found["a/bias"].spec == PartitionSpec()


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ((("kernel", "fsdp"),), "no pattern matches the parameter a/bias"),
        (((".", "replicate"), ("kernel", "fsdp")), "'kernel' decides no parameter"),
        (((".", "fsdp"),), "a/bias \\(3,\\) is divisible"),
        (((".", "split"),), "'split' is no way to shard"),
    ],
)
def test_rules_that_do_not_fit_are_refused(rules, told):
    with pytest.raises(UserError, match=told):
        sharding.param_shardings({"a/bias": (3,), "a/kernel": (8, 8)}, mesh_of(1, 8), rules)


def test_a_mesh_takes_what_the_other_axis_leaves():
    assert dict(sharding.make_mesh(-1, 2).shape) == {"data": 4, "fsdp": 2}
    with pytest.raises(UserError, match="does not use all 8 devices"):
        sharding.make_mesh(3, 2)


def test_global_batch_keeps_every_row_in_its_place(batch):
    mesh = mesh_of(4, 2)
    placed = sharding.global_batch(batch, mesh, 8)
    for local, array in zip(batch, placed, strict=True):
        assert array.sharding.spec == PartitionSpec(sharding.BATCH_AXES)
        np.testing.assert_array_equal(local, array)


def test_streams_follow_the_rows(batch):
    assert sharding.owned_streams(mesh_of(8, 1), rows=16, streams=4) == [0, 1, 2, 3]
    with pytest.raises(UserError, match="not divisible by the 8 devices"):
        sharding.owned_streams(mesh_of(8, 1), rows=12, streams=4)


def test_the_contrastive_matrix_is_never_whole_on_a_device():
    """A device of eight holds [N / 8, N] logits and no [N, N] array of any type."""
    from protclip_jax.objectives.global_contrastive import duplicate_pairs, global_contrastive

    mesh, count = mesh_of(8, 1), 64
    rows = sharding.rows_sharding(mesh)

    def loss(protein, text, hashes):
        exclude = duplicate_pairs(hashes, hashes)
        return global_contrastive(protein, text, logit_scale=np.float32(1), mask=hashes > 0, exclude=exclude).value()

    shapes = [jax.ShapeDtypeStruct((count, 16), np.float32, sharding=rows)] * 2
    shapes += [jax.ShapeDtypeStruct((count,), np.uint32, sharding=rows)]
    with jax.set_mesh(mesh):
        compiled = jax.jit(jax.grad(loss, argnums=(0, 1))).lower(*shapes).compile().as_text()
    assert f"[{count // 8},{count}]" in compiled
    assert f"[{count},{count}]" not in compiled
