"""Device mesh, parameter sharding by config rules, and global batches from each host's rows."""

import dataclasses
import functools
import math
import re
from collections.abc import Iterable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import mesh_utils, multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from data_pipelines.common.errors import UserError
from data_pipelines.training.batch import Batch

BATCH_AXES = ("data", "fsdp")
"""A batch's rows are divided over both mesh axes; parameters only over `fsdp`."""

STACK = "/layers/"
"""Part of the path of parameters stacked over a tower's layers, on their leading axis."""


def make_mesh(data: int, fsdp: int, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Makes a (`data`, `fsdp`) mesh over all devices, or over the given ones.

    One of the two sizes may be -1 and is then derived from the other.

    Raises:
      UserError: the product of the sizes is not the number of devices.
    """
    count = jax.device_count() if devices is None else len(devices)
    known = math.prod(size for size in (data, fsdp) if size != -1)
    sizes = [count // known if size == -1 else size for size in (data, fsdp)]
    if math.prod(sizes) != count:
        raise UserError(
            f"mesh.data={data} × mesh.fsdp={fsdp} does not use all {count} devices; set one "
            "of them to -1."
        )
    # A 3-D torus such as 4 × 4 × 4 has no axis of eight devices; one of its axes is then split.
    placed = mesh_utils.create_device_mesh(sizes, devices, allow_split_physical_axes=True)
    return Mesh(placed, BATCH_AXES, axis_types=(AxisType.Auto,) * 2)


def rows_sharding(mesh: Mesh) -> NamedSharding:
    """Sharding of an array whose first dimension is the rows of a batch."""
    return NamedSharding(mesh, PartitionSpec(BATCH_AXES))


def replicated(mesh: Mesh) -> NamedSharding:
    """Sharding of an array that every device holds in full."""
    return NamedSharding(mesh, PartitionSpec())


def fsdp_axes(shardings: Mapping[str, NamedSharding]) -> dict[str, int]:
    """The dimension of each parameter that is sharded over `fsdp`, by path."""
    specs = {path: tuple(sharding.spec) for path, sharding in shardings.items()}
    return {path: spec.index("fsdp") for path, spec in specs.items() if "fsdp" in spec}


@functools.partial(jax.custom_vjp, nondiff_argnums=(1, 2))
def gather_weight(shard: jax.Array, axis: int, dtype: str) -> jax.Array:
    """Gathers a full weight in its compute dtype from the devices' shards (`jax.shard_map`).

    Its gradient is summed over the `fsdp` axis in float32 and scattered back to the shards.
    """
    return jax.lax.all_gather(shard.astype(dtype), "fsdp", axis=axis, tiled=True)


def _gather_weight_forward(shard, axis, dtype):
    return gather_weight(shard, axis, dtype), None


def _gather_weight_backward(axis, dtype, _, gradient):
    return (
        jax.lax.psum_scatter(
            gradient.astype(jnp.float32), "fsdp", scatter_dimension=axis, tiled=True
        ),
    )


gather_weight.defvjp(_gather_weight_forward, _gather_weight_backward)


def gather_heads(params: Mapping[str, jax.Array], axes: Mapping[str, int]) -> dict[str, jax.Array]:
    """Gathers sharded parameters outside the layer stacks in float32 (inside `jax.shard_map`)."""
    alone = {path: axis for path, axis in axes.items() if STACK not in path}
    return {
        path: gather_weight(x, alone[path], "float32") if path in alone else x
        for path, x in params.items()
    }


@dataclasses.dataclass(frozen=True)
class GatherLayers:
    """Gathers the parameters of one layer of a stack.

    `axes` holds the `fsdp_axes` of the stacks, and `dtype` their compute dtype.
    """

    axes: tuple[tuple[str, int], ...]
    dtype: str

    def __call__(self, stack: str, variables: Mapping) -> Mapping:
        """Gathers a layer's variables, given its stack's path, as the layer's module expects."""
        axes = dict(self.axes)

        def gathered(path, leaf):
            # The stack has a leading layer axis, which a single layer lacks.
            axis = axes.get("/".join([stack, *(key.key for key in path[1:])]), 0) - 1
            return leaf if axis < 0 else gather_weight(leaf, axis, self.dtype)

        return jax.tree.map_with_path(gathered, variables)


def shard_rows(x: jax.Array) -> jax.Array:
    """Constrains the first dimension to the batch axes of the current mesh, if one is set."""
    if jax.sharding.get_abstract_mesh().empty:
        return x
    return jax.lax.with_sharding_constraint(x, PartitionSpec(BATCH_AXES))


def param_shardings(
    shapes: Mapping[str, tuple[int, ...]], mesh: Mesh, rules: Iterable[tuple[str, str]]
) -> dict[str, NamedSharding]:
    """The sharding of each parameter path by the first matching rule (regex, kind).

    `fsdp` shards the largest dimension that is divisible by the size of the axis; `replicate`
    shards nothing.

    Raises:
      UserError: no rule matches a parameter, a rule matches nothing, a kind is unknown, or a
        parameter has no divisible dimension.
    """
    rules = list(rules)
    assigned = first_match(shapes, rules, what="mesh.rules")
    return {
        path: NamedSharding(mesh, _spec(path, shapes[path], kind, mesh.shape["fsdp"]))
        for path, kind in assigned.items()
    }


def _spec(path: str, shape: tuple[int, ...], kind: str, size: int) -> PartitionSpec:
    if kind == "replicate" or size == 1:
        return PartitionSpec()
    if kind != "fsdp":
        raise UserError(f"mesh.rules: unknown rule '{kind}'; expected 'fsdp' or 'replicate'.")
    # A stack's layers are gathered one by one, so its layer axis is never sharded.
    divisible = [
        axis
        for axis, length in enumerate(shape)
        if length % size == 0 and not (STACK in path and axis == 0)
    ]
    if not divisible:
        raise UserError(
            f"mesh.rules: no dimension of {path} {shape} is divisible by fsdp={size}; add a rule "
            "that replicates it."
        )
    largest = max(divisible, key=lambda axis: shape[axis])
    axes: list[str | None] = [None] * len(shape)
    axes[largest] = BATCH_AXES[1]
    return PartitionSpec(*axes)


def first_match(
    paths: Iterable[str], rules: list[tuple[str, object]], *, what: str
) -> dict[str, object]:
    """Maps each path to the value of the first rule whose regex matches it.

    Raises:
      UserError: a path matches no rule, or a rule is the first match of no path.
    """
    assigned, used = {}, set()
    for path in paths:
        index = next((i for i, (pattern, _) in enumerate(rules) if re.search(pattern, path)), None)
        if index is None:
            raise UserError(f"{what}: no pattern matches the parameter {path}; add one.")
        assigned[path] = rules[index][1]
        used.add(index)
    unused = [pattern for i, (pattern, _) in enumerate(rules) if i not in used]
    if unused:
        raise UserError(
            f"{what}: the pattern '{unused[0]}' applies to no parameter; correct or remove it."
        )
    return assigned


def local_rows(mesh: Mesh, rows: int) -> list[int]:
    """The rows of the global batch on this process's devices, ascending.

    Raises:
      UserError: the rows do not divide evenly over the devices.
    """
    if rows % mesh.size:
        raise UserError(
            f"batch.rows={rows} is not divisible by the {mesh.size} devices of the mesh; use a "
            f"multiple of {mesh.size}."
        )
    held = set()
    for (rows_slice,) in rows_sharding(mesh).addressable_devices_indices_map((rows,)).values():
        held.update(range(*rows_slice.indices(rows)))
    return sorted(held)


def local_streams(mesh: Mesh, rows: int, streams: int) -> list[int]:
    """The logical data streams that this process feeds.

    Batch position p belongs to stream p // (rows / streams).

    Raises:
      UserError: the rows are not a multiple of the streams, or a stream's rows would be split
        between processes.
    """
    if rows % streams:
        fix = "change one of them"
        raise UserError(f"batch.rows={rows} is not a multiple of data.streams={streams}; {fix}.")
    per_stream = rows // streams
    owned = local_rows(mesh, rows)
    of_host = sorted({row // per_stream for row in owned})
    if len(of_host) * per_stream != len(owned):
        raise UserError(
            f"data.streams={streams} cannot be divided over {jax.process_count()} processes; "
            "use a multiple of their number."
        )
    return of_host


def global_batch(local: Batch, mesh: Mesh, rows: int) -> Batch:
    """Assembles the sharded global batch from this process's rows, in `local_rows` order."""
    position = {row: i for i, row in enumerate(local_rows(mesh, rows))}
    sharding = rows_sharding(mesh)

    def build(array: np.ndarray) -> jax.Array:
        def shard(index):
            start = index[0].indices(rows)[0]
            stop = index[0].indices(rows)[1]
            return array[position[start] : position[stop - 1] + 1]

        return jax.make_array_from_callback((rows, *array.shape[1:]), sharding, shard)

    return jax.tree.map(build, local)


def sum_over_hosts(counts: Mapping[str, int]) -> dict[str, int]:
    """Sums each count (below 2³¹) over all hosts.

    All hosts call it at the same step with the same names.
    """
    if jax.process_count() == 1:
        return dict(counts)
    table = multihost_utils.process_allgather(np.array(list(counts.values()), np.int32))
    return dict(zip(counts, table.sum(axis=0, dtype=np.int64).tolist(), strict=True))


def any_host(flag: bool, mesh: Mesh) -> jax.Array:
    """Whether `flag` is set on any host, as a scalar on all hosts; returns without waiting."""
    everywhere = NamedSharding(mesh, PartitionSpec(mesh.axis_names))
    flags = jax.make_array_from_callback((mesh.size,), everywhere, lambda _: np.array([flag]))
    return _any(flags)


@jax.jit
def _any(flags: jax.Array) -> jax.Array:
    return jnp.any(flags)


def gather_streams(states: Mapping[int, np.ndarray], streams: int) -> np.ndarray:
    """The stream states of all hosts, on every host: int64 [streams, n]."""
    (length,) = next(iter(states.values())).shape
    table = np.zeros((streams, length), np.int64)
    for stream, state in states.items():
        table[stream] = state
    if jax.process_count() == 1:
        return table
    # JAX gathers 32-bit integers. One host owns each stream; the others contribute zeros.
    halves = multihost_utils.process_allgather(table.view(np.int32))
    return halves.sum(axis=0, dtype=np.int32).view(np.int64)
