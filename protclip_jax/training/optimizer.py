"""Optimiser from config: one schedule, a learning-rate multiplier per parameter group, frozen
groups left out."""

import re
from collections.abc import Mapping

import flax.traverse_util
import optax

from data_pipelines.common.errors import UserError
from protclip_jax.config.group_rules import FROZEN, Rule, multiplier
from protclip_jax.distributed.sharding import first_match
from protclip_jax.training.layer_rates import by_layer, layer_shares


def flatten(params: Mapping) -> dict:
    """Nested parameters as {`group/layer/name`: array}."""
    return flax.traverse_util.flatten_dict(params, sep="/")


def unflatten(flat: Mapping) -> dict:
    """The inverse of `flatten`."""
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def partition(flat: Mapping, groups) -> tuple[dict, dict]:
    """(trainable, frozen) halves of flattened parameters by the config's `optimizer.groups`."""
    assigned = first_match(flat, list(groups), what="optimizer.groups")
    trainable = {path: value for path, value in flat.items() if assigned[path] != FROZEN}
    return trainable, {path: value for path, value in flat.items() if assigned[path] == FROZEN}


def group_rules(trainable: Mapping, groups) -> dict[str, Rule]:
    """The rule of each trainable path, by the config's `optimizer.groups`."""
    # The frozen patterns match nothing here, so rules are looked up among the others alone.
    others = [(pattern, rule) for pattern, rule in groups if rule != FROZEN]
    return first_match(trainable, others, what="optimizer.groups")


def learning_rate_schedule(config, total_steps: int) -> optax.Schedule:
    """Linear warm-up over `warmup_fraction` of the steps, then linear or cosine decay to 0, or
    constant."""
    warmup = max(1, round(config.warmup_fraction * total_steps))
    decay = max(1, total_steps - warmup)
    after = {
        "linear": lambda: optax.linear_schedule(config.learning_rate, 0.0, decay),
        "cosine": lambda: optax.cosine_decay_schedule(config.learning_rate, decay),
        "constant": lambda: optax.constant_schedule(config.learning_rate),
    }
    if config.schedule not in after:
        raise UserError(
            f"optimizer.schedule='{config.schedule}' is unknown; use one of {', '.join(after)}."
        )
    return optax.join_schedules(
        [optax.linear_schedule(0.0, config.learning_rate, warmup), after[config.schedule]()],
        [warmup],
    )


def _weight_decay(config, trainable: Mapping) -> optax.GradientTransformation:
    """Decoupled decay of the parameters whose paths match no pattern of `optimizer.undecayed`."""
    if not config.weight_decay:
        return optax.identity()
    for pattern in config.undecayed:
        if not any(re.search(pattern, path) for path in trainable):
            raise UserError(
                f"optimizer.undecayed names '{pattern}', which matches no trained parameter; "
                "correct the pattern, or remove it."
            )
    spared = [re.compile(pattern) for pattern in config.undecayed]
    decayed = [path for path in trainable if not any(p.search(path) for p in spared)]

    def add(updates, params):
        return {
            **updates,
            **{path: updates[path] + config.weight_decay * params[path] for path in decayed},
        }

    # Without a mask of optax', whose state could not go on from one without decay, or the other way
    # round.
    return optax.stateless(add)


def make_optimizer(config, trainable: Mapping, total_steps: int) -> optax.GradientTransformation:
    """Adam(W) over the flattened trainable parameters (paper: Adam, lr 1e-5, no decay, 3 % warm-up,
    linear decay).

    Each parameter's update is scaled by the rule of the first group pattern that matches its path,
    layer by layer where the rule says so. The gradients of layers that it freezes are left out from
    the start on.

    Raises:
      UserError: nothing is trainable, a pattern of `optimizer.groups` or `optimizer.undecayed`
        matches nothing, or a rule for layers does not fit.
    """
    if not trainable:
        raise UserError(
            "optimizer.groups freezes every parameter, so nothing would be learnt; "
            'give those that shall learn a multiplier, such as ("_projection", 1.0) before '
            '(".", "frozen").'
        )
    rules = group_rules(trainable, config.groups)
    multipliers = {path: multiplier(rule) for path, rule in rules.items()}
    schedule = learning_rate_schedule(config, total_steps)
    alike = optax.chain(
        optax.clip_by_global_norm(config.clip_norm) if config.clip_norm else optax.identity(),
        optax.scale_by_adam(b1=config.b1, b2=config.b2, eps=config.eps),
        _weight_decay(config, trainable),
        optax.partition({m: optax.scale(m) for m in set(multipliers.values())}, multipliers),
        optax.scale_by_learning_rate(schedule),
    )
    return by_layer(alike, layer_shares(trainable, rules))
