"""Blockwise attention: never stores the [Lq, Lk] scores and skips pairs of unrelated blocks.

The forward pass is FlashAttention's online softmax (Dao et al. 2022, algorithm 1). The backward
pass recomputes the weights from the saved log-sum-exp (algorithm 4). Packed rows have few active
pairs of blocks, all near the diagonal. An outer loop runs over the blocks of one side (queries in
the forward pass, keys in the backward pass), an inner loop over only those blocks of the other side
that may share a segment. The length of the inner loop is dynamic; all shapes are static.

Everything is computed in float32. The backward pass stores scores as [keys, queries] and dq as
[D, queries], so that every product contracts the last axis of its left operand. Other products are
about twice as slow on XLA:CPU.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.extend.core import JaxprEqn
from jaxtyping import Array, Bool, Float, Int

from protclip_jax.attention.backend import AttentionBackend, share_of

BLOCK = 64
"""Tokens per block. On a CPU, 64 is best for heads of 16 to 512 and rows of 512 to 2048 tokens:
smaller blocks spend too much time starting operations, larger ones compute too many pairs of tokens
without a common segment."""

MASKED_SCORE = -1e30
INITIAL_MAX = -1e29
"""Above `MASKED_SCORE`, so that exp(masked - maximum) is exactly 0 even if all keys so far are
masked."""
NO_KEYS = 1e30
"""Log-sum-exp of a query without keys; its weights exp(score - NO_KEYS) in the backward pass are
0."""


class _Blocks(NamedTuple):
    """Tokens in blocks: [N, H, B, D], where N = rows × blocks per row."""

    q: Float[Array, "Nq H Bq D"]
    """Already multiplied by 1/√D."""
    k: Float[Array, "Nk H Bk D"]
    v: Float[Array, "Nk H Bk D"]
    q_ids: Int[Array, "Nq Bq"]
    kv_ids: Int[Array, "Nk Bk"]


class Blockwise(AttentionBackend):
    """The default on CPUs, and on GPUs that Triton cannot compile for; runs on any platform.

    Fast if segments are contiguous: the time grows with the number of pairs of blocks whose ranges
    of non-zero ids overlap. It supports reverse-mode gradients (`jax.vjp`), not forward mode.
    """

    name = "blockwise"
    default_on = ("cpu", "gpu")

    def attend(
        self,
        q: Float[Array, "R Lq H D"],
        k: Float[Array, "R Lk H D"],
        v: Float[Array, "R Lk H D"],
        *,
        q_segment_ids: Int[Array, "R Lq"],
        kv_segment_ids: Int[Array, "R Lk"],
    ) -> Float[Array, "R Lq H D"]:
        """Segment attention in float32, see `protclip_jax.attention.attention`."""
        return _attention(q, k, v, q_segment_ids, kv_segment_ids)

    def visited_share(self, segment_ids: Int[np.ndarray, "R L"], dtype: str) -> float:
        """Fraction of the pairs of blocks in a row that are computed."""
        ids = _split(segment_ids[:, :, None, None])[:, 0, :, 0]
        return float(_active_pairs(ids, ids, rows=len(segment_ids)).mean())

    def visits(self, equation: JaxprEqn, visited: Mapping[int, float]) -> float | None:
        """Average number of partners in the loop over a block's partners."""
        if equation.primitive.name != "while":
            return None
        flags = [x.aval for x in equation.invars if x.aval.dtype == bool and x.aval.ndim == 1]
        (partners,) = (flag.size for flag in flags)
        return partners * share_of(visited, partners, BLOCK)


@jax.custom_vjp
def _attention(q, k, v, q_segment_ids, kv_segment_ids):
    return _forward(q, k, v, q_segment_ids, kv_segment_ids)[0]


def _forward(q, k, v, q_segment_ids, kv_segment_ids):
    """Returns the output and the residuals: inputs, output and log-sum-exp [Nq, H, Bq]."""
    blocks = _to_blocks(q, k, v, q_segment_ids, kv_segment_ids)
    active = _active_pairs(blocks.q_ids, blocks.kv_ids, rows=q.shape[0])
    num_blocks, heads, size, dim = blocks.q.shape

    def query_block(i, outputs):
        q_i, ids_i = blocks.q[i], blocks.q_ids[i]

        def key_block(j, state):
            maximum, total, weighted = state
            scores = jnp.einsum("hqd,hkd->hqk", q_i, blocks.k[j])
            scores = jnp.where(_same_segment(ids_i, blocks.kv_ids[j]), scores, MASKED_SCORE)
            new_maximum = jnp.maximum(maximum, scores.max(-1))
            weights = jnp.exp(scores - new_maximum[..., None])
            decay = jnp.exp(maximum - new_maximum)
            weighted = weighted * decay[..., None] + jnp.einsum(
                "hqk,hkd->hqd", weights, blocks.v[j]
            )
            return new_maximum, total * decay + weights.sum(-1), weighted

        nothing = (
            jnp.full((heads, size), INITIAL_MAX),
            jnp.zeros((heads, size)),
            jnp.zeros((heads, size, dim)),
        )
        maximum, total, weighted = _over_active(active, i, key_block, nothing)
        has_keys = total > 0
        total = jnp.where(has_keys, total, 1.0)
        log_sum_exp = jnp.where(has_keys, maximum + jnp.log(total), NO_KEYS)
        out, lse = outputs
        return out.at[i].set(weighted / total[..., None]), lse.at[i].set(log_sum_exp)

    empty = jnp.zeros(blocks.q.shape), jnp.zeros((num_blocks, heads, size))
    out, lse = lax.fori_loop(0, num_blocks, query_block, empty)
    out = _from_blocks(out, q.shape).astype(v.dtype)
    return out, (q, k, v, q_segment_ids, kv_segment_ids, out, lse)


def _backward(saved, d_out):
    """Gradients of q, k and v; looping over key blocks, only dq accumulates in memory."""
    q, k, v, q_segment_ids, kv_segment_ids, out, lse = saved
    blocks = _to_blocks(q, k, v, q_segment_ids, kv_segment_ids)
    active = _active_pairs(blocks.kv_ids, blocks.q_ids, rows=q.shape[0])
    d_out_blocks = _split(d_out.astype(jnp.float32))
    # From the gradient of the softmax, per query: Σ_k weight_k · (gradient of weight_k) = output ·
    # gradient of the output.
    delta = (_split(out.astype(jnp.float32)) * d_out_blocks).sum(-1)

    def key_block(j, gradients):
        k_j, v_j, ids_j = blocks.k[j], blocks.v[j], blocks.kv_ids[j]
        transposed_k_j = k_j.swapaxes(1, 2)

        def query_block(i, state):
            dq, dk_j, dv_j = state
            q_i, d_out_i = blocks.q[i], d_out_blocks[i]
            scores = jnp.einsum("hkd,hqd->hkq", k_j, q_i)
            weights = jnp.exp(scores - lse[i][:, None, :])
            weights = jnp.where(_same_segment(ids_j, blocks.q_ids[i]), weights, 0.0)
            d_weights = jnp.einsum("hkd,hqd->hkq", v_j, d_out_i)
            d_scores = weights * (d_weights - delta[i][:, None, :])
            dq = dq.at[i].add(jnp.einsum("hdk,hkq->hdq", transposed_k_j, d_scores))
            dk_j += jnp.einsum("hkq,hqd->hkd", d_scores, q_i)
            dv_j += jnp.einsum("hkq,hqd->hkd", weights, d_out_i)
            return dq, dk_j, dv_j

        dq, dk, dv = gradients
        zero = jnp.zeros(k_j.shape)
        dq, dk_j, dv_j = _over_active(active, j, query_block, (dq, zero, zero))
        return dq, dk.at[j].set(dk_j), dv.at[j].set(dv_j)

    zero = (
        jnp.zeros(blocks.q.swapaxes(2, 3).shape),
        jnp.zeros(blocks.k.shape),
        jnp.zeros(blocks.v.shape),
    )
    dq, dk, dv = lax.fori_loop(0, blocks.k.shape[0], key_block, zero)
    dq = _from_blocks(dq.swapaxes(2, 3), q.shape) * q.shape[-1] ** -0.5
    dk, dv = _from_blocks(dk, k.shape), _from_blocks(dv, v.shape)
    return dq.astype(q.dtype), dk.astype(k.dtype), dv.astype(v.dtype), None, None


_attention.defvjp(_forward, _backward)


def _to_blocks(q, k, v, q_segment_ids, kv_segment_ids) -> _Blocks:
    q, k, v = (_split(x.astype(jnp.float32)) for x in (q, k, v))
    return _Blocks(
        q * q.shape[-1] ** -0.5,
        k,
        v,
        *(_split(ids[:, :, None, None])[:, 0, :, 0] for ids in (q_segment_ids, kv_segment_ids)),
    )


def _split(x: Array) -> Array:
    """[R, L, H, D] → [R·n, H, B, D], zero-padded (ids: padding) to n whole blocks of B tokens."""
    rows, length, heads, dim = x.shape
    size = min(BLOCK, 8 * -(-length // 8))
    x = jnp.pad(x, ((0, 0), (0, -length % size), (0, 0), (0, 0)))
    return x.reshape(rows, -1, size, heads, dim).swapaxes(2, 3).reshape(-1, heads, size, dim)


def _from_blocks(x: Float[Array, "N H B D"], shape: tuple[int, ...]) -> Float[Array, "R L H D"]:
    """Inverts `_split` for an array of `shape`."""
    rows, length, heads, dim = shape
    x = x.reshape(rows, -1, *x.shape[1:]).swapaxes(2, 3)
    return x.reshape(rows, -1, heads, dim)[:, :length]


def _active_pairs(
    ids: Int[Array, "N B"], other_ids: Int[Array, "M C"], *, rows: int
) -> Bool[Array, "R n m"]:
    """Marks pairs of blocks of a row that may share a segment: their ranges of ids > 0 overlap."""

    def id_range(ids):
        ids = ids.reshape(rows, -1, ids.shape[-1])
        return jnp.where(ids == 0, jnp.iinfo(ids.dtype).max, ids).min(-1), ids.max(-1)

    (low, high), (other_low, other_high) = id_range(ids), id_range(other_ids)
    return (low[:, :, None] <= other_high[:, None, :]) & (other_low[:, None, :] <= high[:, :, None])


def _over_active(active: Bool[Array, "R n m"], block: Int[Array, ""], body: Callable, state):
    """Folds `body(other, state)` over the active partners of a block, in ascending order.

    `block` is an index into R·n, and `other` into R·m.
    """
    row, position = jnp.divmod(block, active.shape[1])
    met, others = active[row, position], active.shape[2]
    index = jnp.arange(others)

    def first_met_after(other):
        return jnp.where(met & (index > other), index, others).min()

    def step(carry):
        other, state = carry
        return first_met_after(other), body(row * others + other, state)

    return lax.while_loop(lambda carry: carry[0] < others, step, (first_met_after(-1), state))[1]


def _same_segment(ids: Int[Array, " B"], other_ids: Int[Array, " C"]) -> Bool[Array, "B C"]:
    """Marks pairs of tokens that share a segment other than padding."""
    return (ids[:, None] == other_ids[None, :]) & (ids[:, None] != 0)
