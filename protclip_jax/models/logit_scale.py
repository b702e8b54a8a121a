"""The learnt scales of the contrasts, kept as logarithms: those of softmaxes at most ln 100, as
in CLIP."""

import math
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MAX_SCALE = 100.0
"""Upper bound of the scales of the global contrast and of the contrast of segments."""

BOUNDED = ("logit_scale/log", "segment_logit_scale/log")
"""Paths of the parameters that `bound_scales` bounds."""


SCALES = ("logit_scale", "segment_logit_scale", "sigmoid_scale")
"""Parameter groups that are a `LogitScale`; the last is not bounded, as SigLIP's is not."""


SIGMOID_GROUPS = frozenset({"sigmoid_scale", "sigmoid_bias"})
"""Parameter groups that a model has only with the sigmoid contrast."""


class LogitScale(nn.Module):
    """A learnt logarithm of the factor before a contrast's softmax or sigmoid (parameter `log`)."""

    initial: float

    @nn.compact
    def __call__(self) -> Float[Array, ""]:
        return self.param("log", nn.initializers.constant(self.initial), (), jnp.float32)


class LogitBias(nn.Module):
    """A learnt summand of a contrast's logits (parameter `bias`)."""

    initial: float

    @nn.compact
    def __call__(self) -> Float[Array, ""]:
        return self.param("bias", nn.initializers.constant(self.initial), (), jnp.float32)


def logged_scales(params: Mapping) -> dict[str, jax.Array]:
    """The scales, and the bias, of a model's contrasts as metrics, by name; `params` is the
    nested tree."""
    scales = {name: jnp.exp(params[name]["log"]) for name in SCALES if name in params}
    return scales | (
        {"sigmoid_bias": params["sigmoid_bias"]["bias"]} if "sigmoid_bias" in params else {}
    )


def bound_scales(params: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Flattened parameters with the log scales brought back to ln 100 where they are above it.

    The bound is on the parameter and not in the loss: there it would take away the gradient that
    brings a scale down again.
    """
    bounded = {}
    for path in BOUNDED:
        if path in params:
            bounded[path] = jnp.minimum(params[path], math.log(MAX_SCALE))
    return {**params, **bounded}
