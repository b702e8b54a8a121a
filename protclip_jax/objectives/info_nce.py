"""InfoNCE in terms of its negatives: −log(e^p / (e^p + Σ e^n)) = softplus(log Σ e^n − p).

In this form an anchor without negatives costs exactly 0, and negatives of several kinds merge with
`jnp.logaddexp`.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from protclip_jax.objectives.candidates import Admits, Reduction, reduce_candidates

NO_NEGATIVES = -1e30
"""Log of an empty sum. It is finite because −inf makes the backward pass of an empty row compute
0/0, on which `jax_debug_nans` stops."""


def _log_sum(logits: Float[Array, "A B"], admitted: Bool[Array, "A B"]) -> Float[Array, " A"]:
    return jax.nn.logsumexp(jnp.where(admitted, logits, NO_NEGATIVES), axis=-1)


_LOG_SUM = Reduction(_log_sum, jnp.logaddexp, NO_NEGATIVES)


def inverse_temperature(logit_scale: Float[Array, ""]) -> Float[Array, ""]:
    """exp(logit_scale) in float32. The parameter is kept at ≤ ln 100 (`models.logit_scale`)."""
    return jnp.exp(logit_scale.astype(jnp.float32))


def log_sum_negatives(
    logits: Float[Array, "*N A B"], admitted: Bool[Array, "*N A B"]
) -> tuple[Float[Array, "*N A"], Float[Array, "*N B"]]:
    """log Σ exp of the admitted logits per row and per column; about `NO_NEGATIVES` if none is."""
    logits = jnp.where(admitted, logits, NO_NEGATIVES)
    return jax.nn.logsumexp(logits, axis=-1), jax.nn.logsumexp(logits, axis=-2)


def log_sum_candidates(
    anchors: Float[Array, "A P"],
    candidates: Float[Array, "B P"],
    anchor_labels: Any,
    candidate_labels: Any,
    admits: Admits,
    *,
    chunk: int,
) -> Float[Array, " A"]:
    """log Σ exp(anchor · candidate) over the candidates that each anchor admits.

    It is about `NO_NEGATIVES` for an anchor that admits none. Arguments as in `reduce_candidates`.
    """
    return reduce_candidates(
        anchors, candidates, anchor_labels, candidate_labels, admits, _LOG_SUM, chunk=chunk
    )


def has_negatives(log_sum: Float[Array, "*N"]) -> Bool[Array, "*N"]:
    """Whether at least one negative was admitted into a log-sum."""
    return log_sum > 0.5 * NO_NEGATIVES


def symmetric_info_nce(
    positive: Float[Array, "*N"],
    row_negatives: Float[Array, "*N"],
    column_negatives: Float[Array, "*N"],
) -> Float[Array, "*N"]:
    """Averages InfoNCE over both directions, from positive logits and log-summed negatives.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.objectives.info_nce import symmetric_info_nce
      >>> zero = jnp.zeros(1)
      >>> print(symmetric_info_nce(zero, zero, zero))  # one negative, as likely as the positive
      [0.6931472]
    """
    return 0.5 * (
        jax.nn.softplus(row_negatives - positive) + jax.nn.softplus(column_negatives - positive)
    )
