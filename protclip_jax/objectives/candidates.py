"""Anchors against the candidates of the global batch, a chunk of them at a time: what every
contrast over records needs."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

Admits = Callable[[Any, Any], Bool[Array, "A b"]]
"""(labels [A, 1, …], labels [1, b, …]) → which pairs take part; never one whose candidate labels
are all 0."""


class Reduction(NamedTuple):
    """How the logits of an anchor become one number."""

    of_logits: Callable[[Float[Array, "A b"], Bool[Array, "A b"]], Float[Array, " A"]]
    """From the logits, and which of them take part."""
    merge: Callable[[Float[Array, " A"], Float[Array, " A"]], Float[Array, " A"]]
    """Of two chunks."""
    nothing: float
    """Of no candidate."""


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
    """The reduction of anchor · candidate over the candidates that each anchor admits.

    Args:
      anchors: already times the contrast's scale.
      candidates: of the whole global batch.
      anchor_labels, candidate_labels: a tree of arrays [A, …] and [B, …] that `admits` compares.
      chunk: candidates compared at a time, so that no more than [A, chunk] logits exist at once, in
        the backward pass neither; 0 = all.
    """
    anchor_labels = jax.tree.map(lambda x: x[:, None], anchor_labels)

    def reduced(candidates, labels):
        # Accelerators round float32 operands by default: times a scale of 100 that would show in
        # the logits.
        logits = jnp.matmul(anchors, candidates.T, precision=jax.lax.Precision.HIGHEST)
        return reduction.of_logits(
            logits, admits(anchor_labels, jax.tree.map(lambda x: x[None], labels))
        )

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
