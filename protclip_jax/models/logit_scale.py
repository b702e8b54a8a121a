"""Learnt logit scales of the contrasts, stored as logarithms; at most ln 100 as in CLIP.

The scale of the sigmoid contrast has no bound.
"""

import math
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

MAX_SCALE = 100.0
"""Upper bound of the global and the segment contrast's scales."""

BOUNDED = ("logit_scale/log", "segment_logit_scale/log")
"""Paths of the parameters that `bound_scales` clamps."""


SCALES = ("logit_scale", "segment_logit_scale", "sigmoid_scale")
"""Parameter groups of type `LogitScale`; the last one is unbounded, as in SigLIP."""


SIGMOID_GROUPS = frozenset({"sigmoid_scale", "sigmoid_bias"})
"""Parameter groups that exist only with the sigmoid contrast."""


class LogitScale(nn.Module):
    """Learnt log of the factor on a contrast's logits (parameter `log`)."""

    initial: float

    @nn.compact
    def __call__(self) -> Float[Array, ""]:
        return self.param("log", nn.initializers.constant(self.initial), (), jnp.float32)


class LogitBias(nn.Module):
    """Learnt bias added to a contrast's logits (parameter `bias`)."""

    initial: float

    @nn.compact
    def __call__(self) -> Float[Array, ""]:
        return self.param("bias", nn.initializers.constant(self.initial), (), jnp.float32)


def logged_scales(params: Mapping) -> dict[str, jax.Array]:
    """The scales and bias of a model's contrasts as metrics; `params` is the nested tree."""
    scales = {name: jnp.exp(params[name]["log"]) for name in SCALES if name in params}
    if "sigmoid_bias" in params:
        scales["sigmoid_bias"] = params["sigmoid_bias"]["bias"]
    return scales


def bound_scales(params: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    """Clamps the log scales in flattened parameters to at most ln 100.

    The clamp acts on the parameter, not in the loss, where it would remove the gradient that can
    lower a scale again.

    Example:
      >>> import jax.numpy as jnp
      >>> from protclip_jax.models.logit_scale import bound_scales
      >>> bounded = bound_scales({"logit_scale/log": jnp.array(7.0)})
      >>> print(f"{jnp.exp(bounded['logit_scale/log']):.1f}")
      100.0
    """
    bounded = {}
    for path in BOUNDED:
        if path in params:
            bounded[path] = jnp.minimum(params[path], math.log(MAX_SCALE))
    return {**params, **bounded}
