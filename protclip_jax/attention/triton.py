"""Attention for GPUs: FlashAttention kernels in Pallas (compiled by Triton) that visit only blocks with a common segment.

One program computes one block of queries of one head (in the backward pass also one block of keys), and loops over the blocks
of the other side from the first to the last whose range of ids overlaps its own: in packed rows those near the diagonal.
Forward: online softmax (Dao et al. 2022, algorithm 1); backward: weights recomputed from the log-sum-exp (algorithm 4).
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float, Int

from protclip_jax.attention.backend import AttentionBackend
from protclip_jax.attention.blockwise import INITIAL_MAX, MASKED_SCORE, NO_KEYS

BLOCK = 64
"""Tokens of a block; not tuned on hardware."""

MIN_DIM = 16
"""Triton's products take powers of two from here on; narrower heads are padded with zeros."""


@dataclasses.dataclass(frozen=True)
class Triton(AttentionBackend):
    """The kernels for GPUs: right for any ids, fast where segments are contiguous.

    A head as wide as the cross-attention's is too much for them.

    Attributes:
      interpret: computes the kernels without a GPU, slowly.
    """

    name = "triton"
    platforms = ("gpu",)
    default_on = "gpu"
    cross_attention = "dense"

    interpret: bool = False

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

        def to_heads(x):
            x = jnp.pad(x, ((0, 0), (0, -x.shape[1] % BLOCK), (0, 0), (0, width - dim)))
            return x.swapaxes(1, 2)

        def to_blocks(ids):
            return jnp.pad(ids, ((0, 0), (0, -ids.shape[1] % BLOCK))).astype(jnp.int32)

        ids = to_blocks(q_segment_ids), to_blocks(kv_segment_ids)
        heads = to_heads(q * dim**-0.5), to_heads(k), to_heads(v)
        out = _attention(*heads, *ids, self.interpret)
        return out.swapaxes(1, 2)[:, : q.shape[1], :, :dim].astype(v.dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(5,))
def _attention(q, k, v, q_ids, kv_ids, interpret):
    return _forward(q, k, v, q_ids, kv_ids, interpret)[0]


def _forward(q, k, v, q_ids, kv_ids, interpret):
    rows, heads, length, width = q.shape
    block, full, ids_block, full_ids = _specs(width)
    out, lse = _call(
        _forward_kernel,
        grid=(rows, heads, length // BLOCK),
        in_specs=[block, full(k), full(v), ids_block, full_ids(kv_ids), *_bound_specs()],
        out_specs=[block, pl.BlockSpec((None, None, BLOCK), lambda r, h, i: (r, h, i))],
        out_shape=[jax.ShapeDtypeStruct(q.shape, q.dtype), jax.ShapeDtypeStruct(q.shape[:3], jnp.float32)],
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, *_bounds(q_ids, kv_ids))
    return out, (q, k, v, q_ids, kv_ids, out, lse)


def _forward_kernel(q_ref, k_ref, v_ref, q_ids_ref, kv_ids_ref, first_ref, end_ref, out_ref, lse_ref):
    q, ids = q_ref[...], q_ids_ref[...]

    def key_block(j, state):
        maximum, total, weighted = state
        keys = pl.ds(j * BLOCK, BLOCK)
        scores = pl.dot(q, k_ref[keys, :], trans_b=True)
        scores = jnp.where(_same_segment(ids, kv_ids_ref[keys]), scores, MASKED_SCORE)
        new_maximum = jnp.maximum(maximum, scores.max(1))
        weights = jnp.exp(scores - new_maximum[:, None])
        decay = jnp.exp(maximum - new_maximum)
        weighted = weighted * decay[:, None] + pl.dot(weights.astype(v_ref.dtype), v_ref[keys, :])
        return new_maximum, total * decay + weights.sum(1), weighted

    nothing = jnp.full(BLOCK, INITIAL_MAX), jnp.zeros(BLOCK), jnp.zeros(q.shape, jnp.float32)
    maximum, total, weighted = jax.lax.fori_loop(first_ref[0], end_ref[0], key_block, nothing)
    has_keys = total > 0
    total = jnp.where(has_keys, total, 1.0)
    out_ref[...] = (weighted / total[:, None]).astype(out_ref.dtype)
    lse_ref[...] = jnp.where(has_keys, maximum + jnp.log(total), NO_KEYS)


def _backward(interpret, saved, d_out):
    q, k, v, q_ids, kv_ids, out, lse = saved
    rows, heads, _, width = q.shape
    block, full, ids_block, full_ids = _specs(width)
    # Of the softmax's gradient: per query, Σ_k weight_k · (gradient of weight_k) = output · gradient of the output.
    delta = (out.astype(jnp.float32) * d_out.astype(jnp.float32)).sum(-1)
    of_block = pl.BlockSpec((None, None, BLOCK), lambda r, h, i: (r, h, i))
    of_all = pl.BlockSpec((None, None, q.shape[2]), lambda r, h, i: (r, h, 0))
    dq = _call(
        _query_gradient_kernel,
        grid=(rows, heads, q.shape[2] // BLOCK),
        in_specs=[block, full(k), full(v), ids_block, full_ids(kv_ids), block, of_block, of_block, *_bound_specs()],
        out_specs=block,
        out_shape=jax.ShapeDtypeStruct(q.shape, q.dtype),
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, d_out, lse, delta, *_bounds(q_ids, kv_ids))
    dk, dv = _call(
        _key_gradient_kernel,
        grid=(rows, heads, k.shape[2] // BLOCK),
        in_specs=[full(q), block, block, full_ids(q_ids), ids_block, full(q), of_all, of_all, *_bound_specs()],
        out_specs=[block, block],
        out_shape=[jax.ShapeDtypeStruct(k.shape, k.dtype), jax.ShapeDtypeStruct(v.shape, v.dtype)],
        interpret=interpret,
    )(q, k, v, q_ids, kv_ids, d_out, lse, delta, *_bounds(kv_ids, q_ids))
    return dq, dk, dv, None, None


def _query_gradient_kernel(
    q_ref, k_ref, v_ref, q_ids_ref, kv_ids_ref, d_out_ref, lse_ref, delta_ref, first_ref, end_ref, dq_ref
):
    q, ids, d_out, lse, delta = q_ref[...], q_ids_ref[...], d_out_ref[...], lse_ref[...], delta_ref[...]

    def key_block(j, dq):
        keys = pl.ds(j * BLOCK, BLOCK)
        k, v = k_ref[keys, :], v_ref[keys, :]
        weights = jnp.exp(pl.dot(q, k, trans_b=True) - lse[:, None])
        weights = jnp.where(_same_segment(ids, kv_ids_ref[keys]), weights, 0.0)
        d_scores = weights * (pl.dot(d_out, v, trans_b=True) - delta[:, None])
        return dq + pl.dot(d_scores.astype(k.dtype), k)

    dq = jax.lax.fori_loop(first_ref[0], end_ref[0], key_block, jnp.zeros(q.shape, jnp.float32))
    dq_ref[...] = dq.astype(dq_ref.dtype)


def _key_gradient_kernel(
    q_ref, k_ref, v_ref, q_ids_ref, kv_ids_ref, d_out_ref, lse_ref, delta_ref, first_ref, end_ref, dk_ref, dv_ref
):
    k, v, ids = k_ref[...], v_ref[...], kv_ids_ref[...]

    def query_block(i, state):
        dk, dv = state
        queries = pl.ds(i * BLOCK, BLOCK)
        q, d_out = q_ref[queries, :], d_out_ref[queries, :]
        # Held as [keys, queries]. A query of another segment is masked before the exponential, whose argument has no bound.
        same = _same_segment(ids, q_ids_ref[queries])
        scores = jnp.where(same, pl.dot(k, q, trans_b=True) - lse_ref[queries][None, :], MASKED_SCORE)
        weights = jnp.exp(scores)
        d_scores = weights * (pl.dot(v, d_out, trans_b=True) - delta_ref[queries][None, :])
        return dk + pl.dot(d_scores.astype(q.dtype), q), dv + pl.dot(weights.astype(d_out.dtype), d_out)

    zero = jnp.zeros(k.shape, jnp.float32)
    dk, dv = jax.lax.fori_loop(first_ref[0], end_ref[0], query_block, (zero, zero))
    dk_ref[...], dv_ref[...] = dk.astype(dk_ref.dtype), dv.astype(dv_ref.dtype)


_attention.defvjp(_forward, _backward)


def _call(kernel, **options):
    return pl.pallas_call(kernel, compiler_params=plgpu.CompilerParams(num_warps=4, num_stages=2), **options)


def _specs(width: int):
    """How a program at (row, head, block) sees tokens [R, H, L, D] and ids [R, L]: its block of them, or its whole row."""

    def full(x):
        return pl.BlockSpec((None, None, x.shape[2], width), lambda r, h, i: (r, h, 0, 0))

    def full_ids(ids):
        return pl.BlockSpec((None, ids.shape[1]), lambda r, h, i: (r, 0))

    block = pl.BlockSpec((None, None, BLOCK, width), lambda r, h, i: (r, h, i, 0))
    return block, full, pl.BlockSpec((None, BLOCK), lambda r, h, i: (r, i)), full_ids


def _bound_specs() -> list[pl.BlockSpec]:
    return [pl.BlockSpec((None, 1), lambda r, h, i: (r, i))] * 2


def _bounds(ids: Int[Array, "R L"], other_ids: Int[Array, "R M"]) -> tuple[Int[Array, "R n"], Int[Array, "R n"]]:
    """For each block, the first of the other side's whose range of ids above 0 overlaps its own, and the one after the last."""

    def id_range(ids):
        blocks = ids.reshape(len(ids), -1, BLOCK)
        return jnp.where(blocks == 0, jnp.iinfo(blocks.dtype).max, blocks).min(-1), blocks.max(-1)

    (low, high), (other_low, other_high) = id_range(ids), id_range(other_ids)
    meets = (low[:, :, None] <= other_high[:, None, :]) & (other_low[:, None, :] <= high[:, :, None])
    position = jnp.arange(meets.shape[-1])
    first = jnp.where(meets, position, meets.shape[-1]).min(-1)
    return first.astype(jnp.int32), jnp.where(meets, position + 1, 0).max(-1).astype(jnp.int32)


def _same_segment(ids: Int[Array, " B"], other_ids: Int[Array, " C"]):
    return (ids[:, None] == other_ids[None, :]) & (ids[:, None] != 0)
