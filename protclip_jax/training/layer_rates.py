"""Per-layer learning rates for stacks of layers, whose arrays have a leading layer axis."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.common.errors import UserError
from protclip_jax.config.group_rules import Rule, is_by_layer, shares
from protclip_jax.distributed.sharding import STACK

Shares = Mapping[str, np.ndarray]
"""By path, the fraction of the learning rate for each layer, float32 [layers, 1, …].

Paths that are absent use the full learning rate.
"""


def layer_shares(trainable: Mapping, rules: Mapping[str, Rule]) -> dict[str, np.ndarray]:
    """Computes the shares from the rules in `optimizer.groups`; `trainable` may be abstract.

    Raises:
      UserError: a rule for layers matches a parameter outside a stack of layers, or names more
        layers than the stack has.
    """
    found = {}
    for path, rule in rules.items():
        if is_by_layer(rule):
            layers, *rest = _stacked_shape(path, trainable[path].shape, rule)
            share = shares(rule, layers).astype(np.float32)
            found[path] = share.reshape(layers, *(1 for _ in rest))
    return found


def _stacked_shape(path: str, shape: tuple[int, ...], rule: Rule) -> tuple[int, ...]:
    said = f"optimizer.groups gives {path} the rule {tuple(rule)}"
    if STACK not in path:
        fix = f"use a pattern such as '^protein{STACK}'"
        raise UserError(f"{said}, but it is not part of a stack of layers; {fix}.")
    if rule[0] == "last" and rule[1] > shape[0]:
        raise UserError(f"{said}, but that stack has only {shape[0]} layers; lower the number.")
    return shape


def without_frozen_layers(
    gradients: Mapping[str, jax.Array],
    shares: Shares,
) -> dict[str, jax.Array]:
    """Sets the gradients of layers with share 0 to 0, even if they are not finite."""
    zeroed = {path: jnp.where(share > 0, gradients[path], 0) for path, share in shares.items()}
    return {**gradients, **zeroed}


def by_layer(
    optimizer: optax.GradientTransformation,
    shares: Shares,
) -> optax.GradientTransformation:
    """Wraps `optimizer` to ignore gradients of frozen layers and scale updates by layer.

    The layout of the optimiser state does not change.
    """

    def update(gradients, state, params=None):
        updates, state = optimizer.update(without_frozen_layers(gradients, shares), state, params)
        scaled = {path: share * updates[path] for path, share in shares.items()}
        return {**updates, **scaled}, state

    return optax.GradientTransformation(optimizer.init, update)
