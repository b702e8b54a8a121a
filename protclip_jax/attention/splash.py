"""Attention for TPUs: JAX's splash kernel over all rows at once, restricted to related blocks.

The kernel takes a single sequence, so the rows of a batch are concatenated. Its block mask usually
comes from a fixed pattern; here it is computed from the segment ids. A block of queries visits only
blocks of its own row whose range of ids overlaps its own. Within these blocks the kernel compares
the ids themselves.
"""

import dataclasses
import math
from collections.abc import Mapping

import jax.numpy as jnp
import numpy as np
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_kernel as splash
from jax.experimental.pallas.ops.tpu.splash_attention import splash_attention_mask_info as mask_info
from jax.extend.core import JaxprEqn
from jaxtyping import Array, Float, Int

from protclip_jax.attention.backend import AttentionBackend, share_of

LANES = 128
"""Block sizes are multiples of this."""

LARGEST_BLOCK = 256
"""On packed rows of 2,048 tokens with UniProt's distribution of lengths, blocks of 512, 256 and 128
visit 64 %, 43 % and 33 % of the pairs of blocks. Smaller blocks use the matrix units less
efficiently. Not tuned on hardware."""


@dataclasses.dataclass(frozen=True)
class Splash(AttentionBackend):
    """The TPU kernel; it computes self-attention only.

    Query and key ids must be equal, because the kernel does not handle queries without keys. Any
    length works; multiples of 256 need no padding.

    Attributes:
      interpret: runs the kernel in interpret mode, without a TPU and slowly.
    """

    name = "splash"
    platforms = ("tpu",)
    default_on = ("tpu",)
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
        """Segment self-attention; products in the dtype of q.

        See `protclip_jax.attention.attention`.

        Raises:
          ValueError: queries and keys differ in shape.
        """
        rows, length, heads, dim = q.shape
        if k.shape != q.shape or kv_segment_ids.shape != q_segment_ids.shape:
            raise ValueError("splash attention is self-attention: q, k and v must share a shape.")
        padded = _padded_length(length)
        sequence = rows * padded

        def to_sequence(x):
            x = jnp.pad(x, ((0, 0), (0, padded - length), (0, 0), (0, 0)))
            return x.transpose(2, 0, 1, 3).reshape(heads, sequence, dim)

        ids = jnp.pad(q_segment_ids, ((0, 0), (0, padded - length))).astype(jnp.int32)
        kernel = self._kernel(ids, math.gcd(padded, LARGEST_BLOCK))
        flat = ids.reshape(sequence)
        out = kernel(
            to_sequence(q * dim**-0.5),
            to_sequence(k),
            to_sequence(v),
            segment_ids=splash.SegmentIds(flat, flat),
        )
        out = out.reshape(heads, rows, padded, dim).transpose(1, 2, 0, 3)[:, :length]
        # In the kernel padding attends to padding, which keeps its softmax finite. `where` discards
        # those results and their gradients.
        return jnp.where((q_segment_ids > 0)[:, :, None, None], out, 0).astype(v.dtype)

    def _kernel(self, ids: Int[Array, "R L"], block: int) -> splash.SplashAttentionKernel:
        """Builds the kernel for concatenated rows with these ids."""
        visits = block_visits(ids, block)
        # The backward kernel for keys and values expects query blocks in columns. The transpose is
        # valid because the pattern is symmetric.
        transposed = visits._replace(
            data_next=visits.data_next.swapaxes(1, 2), block_mask=visits.block_mask.swapaxes(1, 2)
        )
        return splash.SplashAttentionKernel(
            visits,
            visits,
            transposed,
            block_sizes=splash.BlockSizes(*(block,) * 8),
            is_mqa=False,
            save_residuals=False,
            mask_value=splash.DEFAULT_MASK_VALUE,
            attn_logits_soft_cap=None,
            residual_checkpoint_name=None,
            mask_function=None,
            interpret=self.interpret,
        )

    def visited_share(self, segment_ids: Int[np.ndarray, "R L"], dtype: str) -> float:
        """Fraction of the pairs of blocks in a row that the kernel computes."""
        padded = _padded_length(segment_ids.shape[1])
        ids = np.pad(segment_ids, ((0, 0), (0, padded - segment_ids.shape[1])))
        visits = block_visits(ids, math.gcd(padded, LARGEST_BLOCK))
        return float(jnp.mean(visits.block_mask > 0))

    def visits(self, equation: JaxprEqn, visited: Mapping[int, float]) -> float | None:
        """Fraction of the kernel's branches, one per block, that are not skipped."""
        if equation.primitive.name != "pallas_call":
            return None
        blocks, *others = (x.aval.shape for x in equation.invars)
        _, sequence, _ = next(shape for shape in others if len(shape) == 3 and shape != blocks)
        # Blocks per row are the shorter side; the sequence is the concatenation of all rows.
        row = sequence * min(blocks[1:]) // max(blocks[1:])
        return share_of(visited, row // LANES, LANES)


def _padded_length(length: int) -> int:
    return LANES * math.ceil(length / LANES)


def block_visits(segment_ids: Int[Array | np.ndarray, "R L"], block: int) -> mask_info.MaskInfo:
    """Builds the mask of key blocks that each query block of the concatenated rows visits.

    Grid step j of a block is block j of its row. `block_mask` is 2 where the ranges of ids > 0 of
    the two blocks overlap, and on the diagonal; blocks with 0 are skipped. `data_next` is the block
    that a step loads. For a skipped step it is the next visited block, which the kernel prefetches.
    """
    rows = segment_ids.shape[0]
    ids = segment_ids.reshape(rows, -1, block)
    number = ids.shape[1]
    low, high = jnp.where(ids == 0, jnp.iinfo(ids.dtype).max, ids).min(-1), ids.max(-1)
    overlap = (low[:, :, None] <= high[:, None, :]) & (low[:, None, :] <= high[:, :, None])
    visited = overlap | jnp.eye(number, dtype=bool)

    step = jnp.arange(number)
    later = jnp.where(visited[:, :, None, :] & (step[None, :] >= step[:, None]), step, number).min(
        -1
    )
    last = jnp.where(visited, step, 0).max(-1, keepdims=True)
    of_row = jnp.where(later == number, last, later)
    of_sequence = of_row + number * jnp.arange(rows)[:, None, None]
    shape = (1, rows * number, number)
    return mask_info.MaskInfo(
        data_next=of_sequence.reshape(shape).astype(jnp.int32),
        mask_next=None,
        block_mask=(2 * visited).reshape(shape).astype(jnp.int32),
        partial_mask_blocks=None,
        q_sequence=None,
    )
