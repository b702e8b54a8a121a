"""Attention within segments, one function over interchangeable implementations; one file per implementation.

A new implementation is a file with a function `attention(q, k, v, *, q_segment_ids, kv_segment_ids)` and a line in
`IMPLEMENTATIONS`. It has to keep the rules of `attention` below, also in its gradients.
"""

import math
from collections.abc import Sequence

import jax
from jax.sharding import PartitionSpec
from jaxtyping import Array, Float, Int

from data_pipelines.common.errors import UserError
from protclip_jax.attention import blockwise, cudnn, dense, splash, triton
from protclip_jax.distributed.sharding import BATCH_AXES

IMPLEMENTATIONS = {
    "blockwise": blockwise.attention,
    "cudnn": cudnn.attention,
    "dense": dense.attention,
    "splash": splash.attention,
    "triton": triton.attention,
}

OF_PLATFORM = {"cpu": "blockwise", "gpu": "triton", "tpu": "splash"}
"""What `auto` means, by the platform of the devices."""

NEEDS_PLATFORM = {"cudnn": "gpu", "splash": "tpu", "triton": "gpu"}
"""Where an implementation that does not run everywhere runs."""

NEEDS_DTYPE = {"cudnn": "bfloat16"}
"""What an implementation that does not compute every dtype computes in."""

FOR_CROSS_ATTENTION = {"cudnn": "dense", "splash": "dense", "triton": "dense"}
"""What stands in for the biotext's cross-attention: splash computes self-attention alone, and a head of 512 is too wide for
the others."""


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
    """softmax(q·kᵀ/√D)·v, where a query attends to exactly the keys of its own segment (Vaswani et al. 2017, eq. 1).

    Ids are any integers ≥ 0 in any order; 0 is padding. A padding query, and one whose segment has no key, yields 0 and
    sends no gradient; a padding key is never read. The softmax runs in float32; the result has the dtype of `v`.

    Under a mesh (`jax.set_mesh`) every implementation but "dense" runs inside `jax.shard_map`, each device on its own
    rows: the compiler cannot divide a loop over blocks by itself and would gather q, k and v on every device.
    `row_axes` names the axes that divide the rows; those that the mesh lacks, or that an enclosing `shard_map` already
    divides by, are left out. "dense" is left to the compiler.

    Raises:
      ValueError: `implementation` is unknown.
      UserError: the rows do not divide evenly over the mesh.
    """
    if implementation not in IMPLEMENTATIONS:
        raise ValueError(f"attention '{implementation}' is unknown; choose one of {', '.join(sorted(IMPLEMENTATIONS))}.")
    attend = IMPLEMENTATIONS[implementation]
    mesh = jax.sharding.get_abstract_mesh()
    axes = tuple(axis for axis in row_axes if axis in mesh.axis_names and axis not in mesh.manual_axes)
    if implementation == "dense" or not axes:
        return attend(q, k, v, q_segment_ids=q_segment_ids, kv_segment_ids=kv_segment_ids)
    devices = math.prod(mesh.shape[axis] for axis in axes)
    if q.shape[0] % devices:
        raise UserError(
            f"{q.shape[0]} rows do not divide evenly over the {devices} devices of the mesh axes {', '.join(axes)}."
        )
    rows = PartitionSpec(axes)
    # No replication check: the loops' zero initial values count as replicated, and no input is, so nothing needs it.
    sharded = jax.shard_map(
        lambda q, k, v, q_ids, kv_ids: attend(q, k, v, q_segment_ids=q_ids, kv_segment_ids=kv_ids),
        in_specs=rows,
        out_specs=rows,
        axis_names=set(axes),
        check_vma=False,
    )
    return sharded(q, k, v, q_segment_ids, kv_segment_ids)
