import jax
import numpy as np
import pytest
from jax.sharding import AxisType, PartitionSpec

from data_pipelines.common.errors import UserError
from protclip_jax.distributed import sharding
from tests.support import tiny

RULES = (("(kernel|embedding)$", "fsdp"), (".", "replicate"))


def mesh_of(data, fsdp):
    devices = jax.devices()[: data * fsdp]
    return jax.make_mesh(
        (data, fsdp), sharding.BATCH_AXES, axis_types=(AxisType.Auto,) * 2, devices=devices
    )


@pytest.fixture(scope="module")
def batch():
    made = tiny.examples(tiny.records(20))
    return tiny.pack(
        [made[0:3], made[3:5], made[5:8], [], made[8:12], made[12:13], made[13:17], made[17:20]]
    )


def test_rules_shard_the_largest_divisible_dimension():
    shapes = {
        "a/kernel": (2, 16, 24),
        "a/bias": (24,),
        "b/embedding": (33, 8),
        "c/layers/kernel": (48, 16, 8),
    }
    found = sharding.param_shardings(shapes, mesh_of(1, 8), RULES)
    assert found["a/kernel"].spec == PartitionSpec(None, None, "fsdp")
    # The layer axis of a stack is never sharded, because layers are gathered one by one.
    assert found["c/layers/kernel"].spec == PartitionSpec(None, "fsdp", None)
    assert sharding.fsdp_axes(found) == {"a/kernel": 2, "b/embedding": 1, "c/layers/kernel": 1}
    assert found["b/embedding"].spec == PartitionSpec(None, "fsdp")
    assert found["a/bias"].spec == PartitionSpec()


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ((("kernel", "fsdp"),), r"mesh\.rules: .* a/bias"),
        (((".", "replicate"), ("kernel", "fsdp")), r"mesh\.rules: .*'kernel'"),
        (((".", "fsdp"),), r"mesh\.rules: .* a/bias \(3,\) .*fsdp=8"),
        (((".", "split"),), r"mesh\.rules: .*'split'.*'fsdp' or 'replicate'"),
    ],
)
def test_rules_that_do_not_fit_are_refused(rules, message):
    with pytest.raises(UserError, match=message):
        sharding.param_shardings({"a/bias": (3,), "a/kernel": (8, 8)}, mesh_of(1, 8), rules)


def test_a_mesh_takes_what_the_other_axis_leaves():
    assert dict(sharding.make_mesh(-1, 2).shape) == {"data": 4, "fsdp": 2}
    with pytest.raises(UserError, match=r"mesh\.data=3 .*mesh\.fsdp=2 .* 8 devices"):
        sharding.make_mesh(3, 2)


def test_global_batch_keeps_every_row_in_its_place(batch):
    mesh = mesh_of(4, 2)
    placed = sharding.global_batch(batch, mesh, 8)
    for local, array in zip(batch, placed, strict=True):
        assert array.sharding.spec == PartitionSpec(sharding.BATCH_AXES)
        np.testing.assert_array_equal(local, array)


def test_streams_follow_the_rows(batch):
    assert sharding.local_streams(mesh_of(8, 1), rows=16, streams=4) == [0, 1, 2, 3]
    with pytest.raises(UserError, match=r"batch\.rows=12 .* 8 devices"):
        sharding.local_streams(mesh_of(8, 1), rows=12, streams=4)
