"""Attention within segments: one function over interchangeable backends (see `registry`)."""

import math
from collections.abc import Sequence

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention.registry import named
from protclip_jax.distributed.sharding import BATCH_AXES


def attention(
    q: Float[Array, "R Lq H D"],
    k: Float[Array, "R Lk H D"],
    v: Float[Array, "R Lk H D"],
    *,
    q_segment_ids: Int[Array, "R Lq"],
    kv_segment_ids: Int[Array, "R Lk"],
    implementation: str,
    row_axes: Sequence[str] = BATCH_AXES,
) -> Float[Array, "R Lq H D"]:
    """softmax(q·kᵀ/√D)·v, where each query attends to exactly the keys of its own segment.

    Vaswani et al. 2017, eq. 1. Segment ids are integers ≥ 0 in any order; 0 is padding. A padding
    query, or one whose segment has no keys, yields 0 and no gradient. Padding keys are never read.
    The softmax runs in float32; the result has the dtype of `v`.

    Under a mesh (`jax.set_mesh`), backends that the compiler cannot partition run inside
    `jax.shard_map`, each device on its own rows. `row_axes` names the mesh axes that divide the
    rows. Axes that the mesh lacks, or that an enclosing `shard_map` already uses, are ignored.

    Raises:
      ValueError: `implementation` is unknown.
      UserError: the rows do not divide evenly over the mesh.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.attention import attention
      >>> x, ids = jnp.ones((1, 3, 2, 4)), jnp.array([[1, 1, 0]])
      >>> out = attention(
      ...     x, x, x, q_segment_ids=ids, kv_segment_ids=ids, implementation="dense"
      ... )
      >>> print(out[0, :, 0, 0])  # zero at padding
      [1. 1. 0.]
    """
    backend = named(implementation)
    mesh = jax.sharding.get_abstract_mesh()
    axes = tuple(
        axis for axis in row_axes if axis in mesh.axis_names and axis not in mesh.manual_axes
    )
    if backend.partitioned_by_compiler or not axes:
        return backend.attend(q, k, v, q_segment_ids=q_segment_ids, kv_segment_ids=kv_segment_ids)
    devices = math.prod(mesh.shape[axis] for axis in axes)
    if q.shape[0] % devices:
        raise UserError(
            f"{q.shape[0]} rows do not divide evenly over the {devices} devices of the mesh "
            f"axes {', '.join(axes)}; use a multiple of {devices} rows."
        )
    rows = PartitionSpec(axes)
    # The check for replicated values is off: it takes the loops' initial zeros for replicated, and
    # no input here is.
    sharded = jax.shard_map(
        lambda q, k, v, q_ids, kv_ids: backend.attend(
            q, k, v, q_segment_ids=q_ids, kv_segment_ids=kv_ids
        ),
        in_specs=rows,
        out_specs=rows,
        axis_names=set(axes),
        check_vma=False,
    )
    return sharded(q, k, v, q_segment_ids, kv_segment_ids)
