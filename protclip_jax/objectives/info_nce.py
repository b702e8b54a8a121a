"""InfoNCE written over its negatives: −log(e^p / (e^p + Σ e^n)) = softplus(log Σ e^n − p).

An anchor without negatives then costs exactly 0, and negatives of several kinds merge with `jnp.logaddexp`.
"""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

MAX_SCALE = 100.0
"""Upper bound of every contrastive scale (inverse temperature), as in CLIP."""

NO_NEGATIVES = -1e30
"""Log of an empty sum. Finite: with −inf the backward pass of an empty row computes 0/0 on its way (`jax_debug_nans` stops)."""


def inverse_temperature(logit_scale: Float[Array, ""]) -> Float[Array, ""]:
    """exp(logit_scale) in float32, at most 100; above that the scale gets no gradient."""
    return jnp.exp(jnp.minimum(logit_scale.astype(jnp.float32), math.log(MAX_SCALE)))


def log_sum_negatives(
    logits: Float[Array, "... A B"], admitted: Bool[Array, "... A B"]
) -> tuple[Float[Array, "... A"], Float[Array, "... B"]]:
    """log Σ exp of the admitted logits of each row and of each column; about `NO_NEGATIVES` where none is admitted."""
    logits = jnp.where(admitted, logits, NO_NEGATIVES)
    return jax.nn.logsumexp(logits, axis=-1), jax.nn.logsumexp(logits, axis=-2)


def has_negatives(log_sum: Float[Array, "..."]) -> Bool[Array, "..."]:
    """Whether any negative was admitted into a log-sum."""
    return log_sum > 0.5 * NO_NEGATIVES


def symmetric_info_nce(
    positive: Float[Array, "..."], row_negatives: Float[Array, "..."], column_negatives: Float[Array, "..."]
) -> Float[Array, "..."]:
    """Average of both directions' InfoNCE, given each pair's logit and its log-summed negatives (all one shape)."""
    return 0.5 * (jax.nn.softplus(row_negatives - positive) + jax.nn.softplus(column_negatives - positive))
