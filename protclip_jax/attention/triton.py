"""FlashAttention kernels for GPUs in Pallas, compiled by Triton, that skip unrelated blocks.

One program computes one block of queries of one head (in the backward pass also one block of keys).
It loops over the blocks of the other side from the first to the last whose range of ids overlaps
its own; in packed rows these lie near the diagonal. Tokens stay in the towers' layout [R, L, H, D],
without a transpose. The forward pass is the online softmax (Dao et al. 2022, algorithm 1); the
backward pass recomputes the weights from the log-sum-exp (algorithm 4).
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jax.extend.core import JaxprEqn
from jaxtyping import Array, Float, Int

from protclip_jax.attention.backend import AttentionBackend, Target, share_of
from protclip_jax.attention.blockwise import INITIAL_MAX, MASKED_SCORE, NO_KEYS

MIN_DIM = 16
"""Smallest head size; Triton's products need powers of two, so heads are zero-padded."""

LISTED_ONLY = ((0, 11, 0), (0, 11, 1))
"""JAX versions whose Pallas identifies GPUs by a list of names instead of their capability."""


class Tiles(NamedTuple):
    """Tile sizes and pipeline depth of the kernels. Not tuned on hardware."""

    block: int = 64
    """Tokens per block of queries or keys."""
    warps: int = 4
    stages: int = 2
    """Stages of Triton's software pipeline."""


FLOAT32_TILES = Tiles(block=32)
"""In float32, blocks of 64 make the kernels spill kilobytes of registers. These tiles, like
`Tiles()` in bfloat16, spill none on any GPU the kernels were compiled for."""


@dataclasses.dataclass(frozen=True)
class Triton(AttentionBackend):
    """The GPU kernels: correct for any ids, fast if segments are contiguous.

    They do not support heads as wide as the cross-attention's.

    Attributes:
      interpret: runs the kernels in interpret mode, without a GPU and slowly.
      tiles: None = the default for the dtype.
    """

    name = "triton"
    platforms = ("gpu",)
    # The minimum for Triton's bfloat16 products.
    capability = (8, 0)
    default_on = ("gpu",)
    cross_attention = "dense"

    interpret: bool = False
    tiles: Tiles | None = None

    def attend(
        self,
        q: Float[Array, "R Lq H D"],
        k: Float[Array, "R Lk H D"],
        v: Float[Array, "R Lk H D"],
        *,
        q_segment_ids: Int[Array, "R Lq"],
        kv_segment_ids: Int[Array, "R Lk"],
    ) -> Float[Array, "R Lq H D"]:
        """Segment attention, see `protclip_jax.attention.attention`; products in the dtype of q."""
        dim = q.shape[-1]
        width = max(MIN_DIM, pl.next_power_of_2(dim))
        tiles = self.tiles or tiles_of(q.dtype)

        def to_blocks(x):
            return jnp.pad(x, ((0, 0), (0, -x.shape[1] % tiles.block), (0, 0), (0, width - dim)))

        def to_id_blocks(ids):
            return jnp.pad(ids, ((0, 0), (0, -ids.shape[1] % tiles.block))).astype(jnp.int32)

        ids = to_id_blocks(q_segment_ids), to_id_blocks(kv_segment_ids)
        arrays = to_blocks(q * dim**-0.5), to_blocks(k), to_blocks(v)
        out = _attention(*arrays, *ids, tiles, self.interpret)
        return out[:, : q.shape[1], :, :dim].astype(v.dtype)

    def lacking(self, target: Target, dtype: str) -> str | None:
        """Also requires a JAX version whose Triton compiles for the GPU."""
        if needed := super().lacking(target, dtype):
            return needed
        if jax.__version_info__ in LISTED_ONLY and not _listed(target.kind):
            return f"a JAX that compiles its kernels for the {target.kind}, such as 0.11.2"
        return None

    def visited_share(self, segment_ids: Int[np.ndarray, "R L"], dtype: str) -> float:
        """Fraction of the pairs of blocks in a row that the kernels compute."""
        block = tiles_of(dtype).block
        ids = jnp.pad(segment_ids, ((0, 0), (0, -segment_ids.shape[1] % block)))
        first, end = _bounds(ids, ids, block)
        return float(jnp.maximum(end - first, 0).sum() / (first.size * first.shape[1]))

    def visits(self, equation: JaxprEqn, visited: Mapping[int, float]) -> float | None:
        """Average number of blocks that a program's loop visits."""
        if equation.primitive.name != "pallas_call":
            return None
        *_, blocks = equation.params["grid_mapping"].grid
        return blocks * share_of(visited, blocks, equation.invars[0].aval.shape[1] // blocks)


def _listed(kind: str) -> bool:
    """Whether JAX's list contains a GPU of this name."""
    names = "|".join(version.value for version in plgpu.GpuVersion)
    return re.match(rf"({names})\b", kind) is not None


def tiles_of(dtype: str | np.dtype) -> Tiles:
    """The default tiles for products in this dtype."""
    return FLOAT32_TILES if jnp.dtype(dtype) == jnp.float32 else Tiles()


@functools.partial(jax.custom_vjp, nondiff_argnums=(5, 6))
def _attention(q, k, v, q_ids, kv_ids, tiles, interpret):
    return _forward(q, k, v, q_ids, kv_ids, tiles, interpret)[0]


def _forward(q, k, v, q_ids, kv_ids, tiles, interpret):
    rows, length, heads, _ = q.shape
    specs = _Specs(tiles.block)
    out, lse = _call(
        _forward_kernel,
        tiles,
        grid=(rows, heads, length // tiles.block),
        in_specs=[
            specs.block(q),
            specs.row(k),
            specs.row(v),
            specs.ids_block,
            specs.ids_row(kv_ids),
            *specs.bounds,
        ],
        out_specs=[specs.block(q), specs.figures_block],
        out_shape=[
            jax.ShapeDtypeStruct(q.shape, q.dtype),
            jax.ShapeDtypeStruct((rows, heads, length), jnp.float32),
        ],
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, *_bounds(q_ids, kv_ids, tiles.block))
    return out, (q, k, v, q_ids, kv_ids, out, lse)


def _forward_kernel(
    q_ref, k_ref, v_ref, q_ids_ref, kv_ids_ref, first_ref, end_ref, out_ref, lse_ref
):
    q, ids = q_ref[...], q_ids_ref[...]
    block = len(ids)

    def key_block(j, state):
        maximum, total, weighted = state
        keys = pl.ds(j * block, block)
        scores = _product(q, k_ref[keys, :].T)
        scores = jnp.where(_same_segment(ids, kv_ids_ref[keys]), scores, MASKED_SCORE)
        new_maximum = jnp.maximum(maximum, scores.max(1))
        weights = jnp.exp(scores - new_maximum[:, None])
        decay = jnp.exp(maximum - new_maximum)
        weighted = weighted * decay[:, None]
        weighted += _product(weights.astype(v_ref.dtype), v_ref[keys, :])
        return new_maximum, total * decay + weights.sum(1), weighted

    nothing = jnp.full(block, INITIAL_MAX), jnp.zeros(block), jnp.zeros(q.shape, jnp.float32)
    state = jax.lax.fori_loop(first_ref[0], end_ref[0], key_block, nothing)
    maximum, total, weighted = state
    has_keys = total > 0
    total = jnp.where(has_keys, total, 1.0)
    out_ref[...] = (weighted / total[:, None]).astype(out_ref.dtype)
    lse_ref[...] = jnp.where(has_keys, maximum + jnp.log(total), NO_KEYS)


def _backward(tiles, interpret, saved, d_out):
    q, k, v, q_ids, kv_ids, out, lse = saved
    rows, length, heads, _ = q.shape
    specs = _Specs(tiles.block)
    # From the gradient of the softmax, per query: Σ_k weight_k · (gradient of weight_k) = output ·
    # gradient of the output.
    delta = (out.astype(jnp.float32) * d_out.astype(jnp.float32)).sum(-1).swapaxes(1, 2)
    dq = _call(
        _query_gradient_kernel,
        tiles,
        grid=(rows, heads, length // tiles.block),
        in_specs=[
            specs.block(q),
            specs.row(k),
            specs.row(v),
            specs.ids_block,
            specs.ids_row(kv_ids),
            specs.block(q),
            specs.figures_block,
            specs.figures_block,
            *specs.bounds,
        ],
        out_specs=specs.block(q),
        out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, d_out, lse, delta, *_bounds(q_ids, kv_ids, tiles.block))
    dk, dv = _call(
        _key_gradient_kernel,
        tiles,
        grid=(rows, heads, k.shape[1] // tiles.block),
        in_specs=[
            specs.row(q),
            specs.block(k),
            specs.block(v),
            specs.ids_row(q_ids),
            specs.ids_block,
            specs.row(q),
            specs.figures_row(lse),
            specs.figures_row(lse),
            *specs.bounds,
        ],
        out_specs=[specs.block(k), specs.block(v)],
        out_shape=[
            jax.ShapeDtypeStruct(k.shape, k.dtype),
            jax.ShapeDtypeStruct(v.shape, v.dtype),
        ],
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, d_out, lse, delta, *_bounds(kv_ids, q_ids, tiles.block))
    return dq, dk, dv, None, None


def _query_gradient_kernel(
    q_ref,
    k_ref,
    v_ref,
    q_ids_ref,
    kv_ids_ref,
    d_out_ref,
    lse_ref,
    delta_ref,
    first_ref,
    end_ref,
    dq_ref,
):
    q, ids, d_out = q_ref[...], q_ids_ref[...], d_out_ref[...]
    lse, delta = lse_ref[...], delta_ref[...]
    block = len(ids)

    def key_block(j, dq):
        keys = pl.ds(j * block, block)
        k, v = k_ref[keys, :], v_ref[keys, :]
        weights = jnp.exp(_product(q, k.T) - lse[:, None])
        weights = jnp.where(_same_segment(ids, kv_ids_ref[keys]), weights, 0.0)
        d_scores = weights * (_product(d_out, v.T) - delta[:, None])
        return dq + _product(d_scores.astype(k.dtype), k)

    dq = jnp.zeros(q.shape, jnp.float32)
    dq = jax.lax.fori_loop(first_ref[0], end_ref[0], key_block, dq)
    dq_ref[...] = dq.astype(dq_ref.dtype)


def _key_gradient_kernel(
    q_ref,
    k_ref,
    v_ref,
    q_ids_ref,
    kv_ids_ref,
    d_out_ref,
    lse_ref,
    delta_ref,
    first_ref,
    end_ref,
    dk_ref,
    dv_ref,
):
    k, v, ids = k_ref[...], v_ref[...], kv_ids_ref[...]
    block = len(ids)

    def query_block(i, state):
        dk, dv = state
        queries = pl.ds(i * block, block)
        q, d_out = q_ref[queries, :], d_out_ref[queries, :]
        # Scores are stored as [keys, queries]. Other segments are masked before the exponential,
        # whose argument is otherwise unbounded.
        same = _same_segment(ids, q_ids_ref[queries])
        scores = _product(k, q.T) - lse_ref[queries][None, :]
        weights = jnp.exp(jnp.where(same, scores, MASKED_SCORE))
        d_scores = weights * (_product(v, d_out.T) - delta_ref[queries][None, :])
        dk += _product(d_scores.astype(q.dtype), q)
        return dk, dv + _product(weights.astype(d_out.dtype), d_out)

    zero = jnp.zeros(k.shape, jnp.float32)
    dk, dv = jax.lax.fori_loop(first_ref[0], end_ref[0], query_block, (zero, zero))
    dk_ref[...], dv_ref[...] = dk.astype(dk_ref.dtype), dv.astype(dv_ref.dtype)


_attention.defvjp(_forward, _backward)


def _product(a, b):
    """a·b summed in float32, without rounding float32 operands to TF32 as Triton would."""
    precision = jax.lax.Precision.HIGHEST if a.dtype == jnp.float32 else None
    return plgpu.dot(a, b, precision=precision)


def _call(kernel, tiles: Tiles, **options):
    params = plgpu.CompilerParams(num_warps=tiles.warps, num_stages=tiles.stages)
    return pl.pallas_call(kernel, compiler_params=params, **options)


class _Specs:
    """Block specs of a program at (row, head, block), for its own block or its whole row.

    They cover tokens [R, L, H, D], ids [R, L] and per-token figures [R, H, L].
    """

    def __init__(self, block: int):
        self.tokens = block
        self.ids_block = pl.BlockSpec((None, block), lambda r, h, i: (r, i))
        self.figures_block = pl.BlockSpec((None, None, block), lambda r, h, i: (r, h, i))
        self.bounds = [pl.BlockSpec((None, 1), lambda r, h, i: (r, i))] * 2

    def block(self, x) -> pl.BlockSpec:
        return pl.BlockSpec((None, self.tokens, None, x.shape[3]), lambda r, h, i: (r, i, h, 0))

    def row(self, x) -> pl.BlockSpec:
        return pl.BlockSpec((None, x.shape[1], None, x.shape[3]), lambda r, h, i: (r, 0, h, 0))

    def ids_row(self, ids) -> pl.BlockSpec:
        return pl.BlockSpec((None, ids.shape[1]), lambda r, h, i: (r, 0))

    def figures_row(self, figures) -> pl.BlockSpec:
        return pl.BlockSpec((None, None, figures.shape[2]), lambda r, h, i: (r, h, 0))


def _bounds(
    ids: Int[Array, "R L"], other_ids: Int[Array, "R M"], block: int
) -> tuple[Int[Array, "R n"], Int[Array, "R n"]]:
    """Range of blocks on the other side that may share a segment with each block.

    Returns the first block whose range of ids > 0 overlaps, and one past the last.
    """

    def id_range(ids):
        blocks = ids.reshape(len(ids), -1, block)
        present = jnp.where(blocks == 0, jnp.iinfo(blocks.dtype).max, blocks)
        return present.min(-1), blocks.max(-1)

    (low, high), (other_low, other_high) = id_range(ids), id_range(other_ids)
    begun = low[:, :, None] <= other_high[:, None, :]
    meets = begun & (other_low[:, None, :] <= high[:, :, None])
    position = jnp.arange(meets.shape[-1])
    first = jnp.where(meets, position, meets.shape[-1]).min(-1)
    end = jnp.where(meets, position + 1, 0).max(-1)
    return first.astype(jnp.int32), end.astype(jnp.int32)


def _same_segment(ids: Int[Array, " B"], other_ids: Int[Array, " C"]):
    return (ids[:, None] == other_ids[None, :]) & (ids[:, None] != 0)
