"""Learning rates that differ from layer to layer of a stack, whose arrays have layers in front."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax

from data_pipelines.common.errors import UserError
from protclip_jax.config.group_rules import Rule, is_by_layer, shares
from protclip_jax.distributed.sharding import STACK

Shares = Mapping[str, np.ndarray]
"""By path, float32 [layers, 1, …]: the share of its learning rate that each layer gets.

Other paths get all of it.
"""


def layer_shares(trainable: Mapping, rules: Mapping[str, Rule]) -> dict[str, np.ndarray]:
    """The shares by the rules of `optimizer.groups`, of flattened parameters, perhaps abstract.

    Raises:
      UserError: a rule for layers meets a parameter that is no stack of layers, or names more
        layers than there are.
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
        raise UserError(f"{said}, but it is no stack of layers; {fix}.")
    if rule[0] == "last" and rule[1] > shape[0]:
        raise UserError(f"{said}, but that stack has {shape[0]} layers; name at most so many.")
    return shape


def without_frozen_layers(
    gradients: Mapping[str, jax.Array],
    shares: Shares,
) -> dict[str, jax.Array]:
    """Gradients that are 0, whatever they were, in the layers whose share is 0."""
    zeroed = {path: jnp.where(share > 0, gradients[path], 0) for path, share in shares.items()}
    return {**gradients, **zeroed}


def by_layer(
    optimizer: optax.GradientTransformation,
    shares: Shares,
) -> optax.GradientTransformation:
    """`optimizer` without the gradients of frozen layers, and with updates by the layers' shares.

    Its state is laid out as before.
    """

    def update(gradients, state, params=None):
        updates, state = optimizer.update(without_frozen_layers(gradients, shares), state, params)
        scaled = {path: share * updates[path] for path, share in shares.items()}
        return {**updates, **scaled}, state

    return optax.GradientTransformation(optimizer.init, update)
