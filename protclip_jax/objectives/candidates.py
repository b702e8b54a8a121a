"""Compares anchors with the candidates of the global batch, chunk by chunk; contrasts share it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Admits = Callable[[Any, Any], Bool[Array, "A b"]]
"""Maps (anchor labels [A, 1, …], candidate labels [1, b, …]) to the pairs that take part.

It must reject every candidate whose labels are all 0: the last chunk is padded with them.
"""


class Reduction(NamedTuple):
    """Turns an anchor's logits into one number."""

    of_logits: Callable[[Float[Array, "A b"], Bool[Array, "A b"]], Float[Array, " A"]]
    """Reduces the logits; the second argument marks those that take part."""
    merge: Callable[[Float[Array, " A"], Float[Array, " A"]], Float[Array, " A"]]
    """Combines the results of two chunks."""
    nothing: float
    """The result for an anchor without candidates."""


def reduce_candidates(
    anchors: Float[Array, "A P"],
    candidates: Float[Array, "B P"],
    anchor_labels: Any,
    candidate_labels: Any,
    admits: Admits,
    reduction: Reduction,
    *,
    chunk: int,
) -> Float[Array, " A"]:
    """Reduces the logits anchor · candidate of each anchor over the candidates it admits.

    Args:
      anchors: already multiplied by the contrast's scale.
      candidates: all candidates of the global batch.
      anchor_labels, candidate_labels: trees of arrays [A, …] and [B, …] that `admits` compares.
      chunk: number of candidates compared at a time; 0 compares all at once. At most [A, chunk]
        logits exist at any time, also in the backward pass.
    """
    anchor_labels = jax.tree.map(lambda x: x[:, None], anchor_labels)

    def reduced(candidates, labels):
        # Accelerators round float32 operands by default. Multiplied by a scale of up to 100, the
        # error would show in the logits.
        logits = jnp.matmul(anchors, candidates.T, precision=jax.lax.Precision.HIGHEST)
        compared = jax.tree.map(lambda x: x[None], labels)
        return reduction.of_logits(logits, admits(anchor_labels, compared))

    count = len(candidates)
    if not chunk or chunk >= count:
        return reduced(candidates, candidate_labels)

    def chunks(x):
        x = jnp.pad(x, [(0, -count % chunk)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(-1, chunk, *x.shape[1:])

    def add(total, of_chunk):
        return reduction.merge(total, reduced(*of_chunk)), None

    nothing = jnp.full(len(anchors), reduction.nothing)
    return jax.lax.scan(
        jax.checkpoint(add), nothing, jax.tree.map(chunks, (candidates, candidate_labels))
    )[0]
