"""InfoNCE written over its negatives: −log(e^p / (e^p + Σ e^n)) = softplus(log Σ e^n − p).

An anchor without negatives then costs exactly 0, and negatives of several kinds merge with `jnp.logaddexp`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

NO_NEGATIVES = -1e30
"""Log of an empty sum. Finite: with −inf the backward pass of an empty row computes 0/0 on its way (`jax_debug_nans` stops)."""


def inverse_temperature(logit_scale: Float[Array, ""]) -> Float[Array, ""]:
    """exp(logit_scale) in float32. The parameter is kept at ≤ ln 100 (`models.logit_scale`)."""
    return jnp.exp(logit_scale.astype(jnp.float32))


def log_sum_negatives(
    logits: Float[Array, "*N A B"], admitted: Bool[Array, "*N A B"]
) -> tuple[Float[Array, "*N A"], Float[Array, "*N B"]]:
    """log Σ exp of the admitted logits of each row and of each column; about `NO_NEGATIVES` where none is admitted."""
    logits = jnp.where(admitted, logits, NO_NEGATIVES)
    return jax.nn.logsumexp(logits, axis=-1), jax.nn.logsumexp(logits, axis=-2)


def log_sum_candidates(
    anchors: Float[Array, "A P"],
    candidates: Float[Array, "B P"],
    anchor_labels: Any,
    candidate_labels: Any,
    admits: Callable[[Any, Any], Bool[Array, "A b"]],
    *,
    chunk: int,
) -> Float[Array, " A"]:
    """log Σ exp(anchor · candidate) over the candidates that each anchor admits; about `NO_NEGATIVES` where it admits none.

    Args:
      anchors: already times the contrast's scale.
      candidates: of the whole global batch.
      anchor_labels, candidate_labels: a tree of arrays [A, …] and [B, …] that `admits` compares.
      admits: (labels [A, 1, …], labels [1, b, …]) → which pairs are negatives; never one whose candidate labels are all 0.
      chunk: candidates compared at a time, so that no more than [A, chunk] logits exist at once, in the backward pass
        neither; 0 = all.
    """
    anchor_labels = jax.tree.map(lambda x: x[:, None], anchor_labels)

    def log_sum(candidates, labels):
        # Accelerators round float32 operands by default: times a scale of 100 that would show in the logits.
        logits = jnp.matmul(anchors, candidates.T, precision=jax.lax.Precision.HIGHEST)
        admitted = admits(anchor_labels, jax.tree.map(lambda x: x[None], labels))
        return jax.nn.logsumexp(jnp.where(admitted, logits, NO_NEGATIVES), axis=-1)

    count = len(candidates)
    if not chunk or chunk >= count:
        return log_sum(candidates, candidate_labels)

    def chunks(x):
        x = jnp.pad(x, [(0, -count % chunk)] + [(0, 0)] * (x.ndim - 1))
        return x.reshape(-1, chunk, *x.shape[1:])

    def add(total, of_chunk):
        return jnp.logaddexp(total, log_sum(*of_chunk)), None

    nothing = jnp.full(len(anchors), NO_NEGATIVES)
    return jax.lax.scan(jax.checkpoint(add), nothing, jax.tree.map(chunks, (candidates, candidate_labels)))[0]


def has_negatives(log_sum: Float[Array, "*N"]) -> Bool[Array, "*N"]:
    """Whether any negative was admitted into a log-sum."""
    return log_sum > 0.5 * NO_NEGATIVES


def symmetric_info_nce(
    positive: Float[Array, "*N"], row_negatives: Float[Array, "*N"], column_negatives: Float[Array, "*N"]
) -> Float[Array, "*N"]:
    """Average of both directions' InfoNCE, given each pair's logit and its log-summed negatives (all one shape)."""
    return 0.5 * (jax.nn.softplus(row_negatives - positive) + jax.nn.softplus(column_negatives - positive))
