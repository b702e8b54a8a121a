"""What `optimizer.groups` says of parameters: how fast they learn, alike or layer by layer."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from data_pipelines.common.json_object import is_number
from data_pipelines.common.settings import FRACTION, WIDTH, Kind

FROZEN = "frozen"

Rule = str | float | Sequence
"""`FROZEN`, a multiplier of the learning rate, or (name in `BY_LAYER`, number[, multiplier])."""

WANTED = 'a multiplier, "frozen", ("last", layers[, multiplier]) or ("decay", base[, multiplier])'


def last(count: int, layers: int) -> Float[np.ndarray, " layers"]:
    """1 for the last `count` layers, 0 for those before."""
    return (np.arange(layers) >= layers - count).astype(float)


def decay(base: float, layers: int) -> Float[np.ndarray, " layers"]:
    """base^(L-1-l) for layer l of L (ELECTRA, Clark et al. 2020; BEiT, Bao et al. 2021)."""
    return base ** np.arange(layers)[::-1]


class ByLayer(NamedTuple):
    """A kind of rule that differs from layer to layer."""

    number: Kind
    """What its number may be."""
    shares: Callable[[float, int], Float[np.ndarray, " layers"]]
    """Maps that number and the number of layers to the multiplier's share for each layer."""


BY_LAYER = {"last": ByLayer(WIDTH, last), "decay": ByLayer(FRACTION, decay)}


def is_rule(value: object) -> bool:
    """Whether it is a `Rule`."""
    if not isinstance(value, list | tuple):
        return value == FROZEN or _is_multiplier(value)
    if len(value) not in (2, 3) or not isinstance(value[0], str) or value[0] not in BY_LAYER:
        return False
    return BY_LAYER[value[0]].number.allows(value[1]) and _is_multiplier(multiplier(value))


def _is_multiplier(value: object) -> bool:
    return is_number(value) and value >= 0


def multiplier(rule: Rule) -> float:
    """Of the learning rate, in the layers whose share is 1."""
    if isinstance(rule, list | tuple):
        return rule[2] if len(rule) == 3 else 1.0
    return rule


def is_by_layer(rule: Rule) -> bool:
    """Whether it differs from layer to layer."""
    return isinstance(rule, list | tuple)


def shares(rule: Sequence, layers: int) -> Float[np.ndarray, " layers"]:
    """The share of the multiplier for each layer of a stack, by such a rule."""
    name, number, *_ = rule
    return BY_LAYER[name].shares(number, layers)
