"""Builds the optimiser: one schedule, learning-rate multipliers per group, no frozen groups."""

import re
from collections.abc import Mapping

import flax.traverse_util
import optax

from data_pipelines.common.errors import UserError
from protclip_jax.config.group_rules import FROZEN, Rule, multiplier
from protclip_jax.distributed.sharding import first_match
from protclip_jax.training.layer_rates import by_layer, layer_shares


def flatten(params: Mapping) -> dict:
    """Flattens nested parameters to {`group/layer/name`: array}."""
    return flax.traverse_util.flatten_dict(params, sep="/")


def unflatten(flat: Mapping) -> dict:
    """Inverts `flatten`."""
    return flax.traverse_util.unflatten_dict(flat, sep="/")


def partition(flat: Mapping, groups) -> tuple[dict, dict]:
    """Splits flattened parameters into (trainable, frozen) by the config's `optimizer.groups`."""
    assigned = first_match(flat, list(groups), what="optimizer.groups")
    trainable = {path: value for path, value in flat.items() if assigned[path] != FROZEN}
    return trainable, {path: value for path, value in flat.items() if assigned[path] == FROZEN}


def group_rules(trainable: Mapping, groups) -> dict[str, Rule]:
    """The rule in the config's `optimizer.groups` for each trainable path."""
    # Frozen patterns match no trainable path, so only the other rules are searched.
    others = [(pattern, rule) for pattern, rule in groups if rule != FROZEN]
    return first_match(trainable, others, what="optimizer.groups")


def learning_rate_schedule(config, total_steps: int) -> optax.Schedule:
    """Linear warm-up over `warmup_fraction` of the steps, then decay to 0 or a constant rate."""
    warmup = max(1, round(config.warmup_fraction * total_steps))
    decay = max(1, total_steps - warmup)
    after = {
        "linear": lambda: optax.linear_schedule(config.learning_rate, 0.0, decay),
        "cosine": lambda: optax.cosine_decay_schedule(config.learning_rate, decay),
        "constant": lambda: optax.constant_schedule(config.learning_rate),
    }
    if config.schedule not in after:
        raise UserError(
            f"unknown optimizer.schedule='{config.schedule}'; expected one of {', '.join(after)}."
        )
    return optax.join_schedules(
        [optax.linear_schedule(0.0, config.learning_rate, warmup), after[config.schedule]()],
        [warmup],
    )


def _weight_decay(config, trainable: Mapping) -> optax.GradientTransformation:
    """Decoupled weight decay for parameters that match no pattern in `optimizer.undecayed`."""
    if not config.weight_decay:
        return optax.identity()
    for pattern in config.undecayed:
        if not any(re.search(pattern, path) for path in trainable):
            raise UserError(
                f"optimizer.undecayed: '{pattern}' matches no trainable parameter; correct or "
                "remove the pattern."
            )
    spared = [re.compile(pattern) for pattern in config.undecayed]

    def is_spared(path):
        return any(pattern.search(path) for pattern in spared)

    decayed = [path for path in trainable if not is_spared(path)]

    def add(updates, params):
        changed = {path: updates[path] + config.weight_decay * params[path] for path in decayed}
        return {**updates, **changed}

    # Stateless, unlike optax's masked decay, so that a run can resume with or without decay.
    return optax.stateless(add)


def make_optimizer(config, trainable: Mapping, total_steps: int) -> optax.GradientTransformation:
    """Adam(W) over the flattened trainable parameters.

    Paper: Adam, learning rate 1e-5, no weight decay, 3 % warm-up, linear decay. Each parameter's
    update is scaled by the rule of the first group pattern that matches its path, per layer if the
    rule says so. Gradients of frozen layers are excluded before clipping.

    Raises:
      UserError: nothing is trainable, a pattern in `optimizer.groups` or `optimizer.undecayed`
        matches nothing, or a rule for layers does not fit.
    """
    if not trainable:
        raise UserError(
            "optimizer.groups freezes every parameter, so the run would learn nothing; give some "
            'parameters a multiplier, for example ("_projection", 1.0) before (".", "frozen").'
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
