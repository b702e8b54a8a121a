"""The training step: losses, gradients and update; the state is explicit and donated."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from data_pipelines.training.batch import Batch
from protclip_jax.models.logit_scale import bound_scales, logged_scales
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.gradients import LossAndGradients
from protclip_jax.training.train_state import TrainState


def make_train_step(
    loss_and_gradients: LossAndGradients,
    optimizer: optax.GradientTransformation,
    state: TrainState,
    ema_decay: float = 0.0,
) -> Callable[[TrainState, Batch], tuple[TrainState, dict]]:
    """Makes a jitted `(state, batch) -> (state, metrics)` that donates the state.

    The new state has the shardings of the given one. Parameter averages, if the state has them,
    move towards the new parameters by the fraction 1 - `ema_decay`.

    Metrics are replicated: `losses` (sum, count), `pairs`, `scalars` and `finite`. A step whose
    loss or gradient is not finite leaves parameters, averages and optimiser unchanged and only
    increments the step.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        total, losses, gradients = loss_and_gradients(state.trainable, state.frozen, batch)
        gradient_norm = optax.global_norm(gradients)
        finite = jnp.isfinite(total) & jnp.isfinite(gradient_norm)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trainable)
        trainable = bound_scales(optax.apply_updates(state.trainable, updates))
        averaged = moved_averages(state.averaged, trainable, ema_decay)
        trainable, optimizer_state, averaged = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old),
            (trainable, optimizer_state, averaged),
            (state.trainable, state.optimizer, state.averaged),
        )
        metrics = {
            "losses": losses,
            "pairs": jnp.sum(batch.described),
            "finite": finite,
            "scalars": {
                "gradient_norm": gradient_norm,
                **logged_scales(state.params),
                **({} if averaged is None else {"ema_distance": distance(trainable, averaged)}),
            },
        }
        return TrainState(
            state.step + 1, trainable, state.frozen, optimizer_state, averaged
        ), metrics

    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(train_step, donate_argnums=0, out_shardings=(shardings, None))


def moved_averages(
    averaged: dict[str, jax.Array] | None, trainable: dict[str, jax.Array], decay: float
) -> dict[str, jax.Array] | None:
    """decay · average + (1 - decay) · parameter.

    Written so that a parameter that does not change equals its average exactly.
    """
    if averaged is None:
        return None
    return {
        path: average + (1 - decay) * (trainable[path] - average)
        for path, average in averaged.items()
    }


def distance(trainable: dict[str, jax.Array], averaged: dict[str, jax.Array]) -> Float[Array, ""]:
    """Euclidean distance between all parameters and their averages."""
    differences = {path: trainable[path] - average for path, average in averaged.items()}
    return optax.global_norm(differences)


def skipped_steps(state: TrainState) -> int:
    """Number of steps whose update was skipped, which the optimiser has therefore not counted."""
    (_, counted), *_ = optax.tree_utils.tree_get_all_with_path(state.optimizer, "count")
    return int(state.step) - int(counted)


def make_gradient_norms(
    gradients_of: Callable[[ObjectiveConfig], LossAndGradients], objective: ObjectiveConfig
) -> Callable[[TrainState, Batch], dict[str, jax.Array]]:
    """Makes a jitted `(state, batch) -> norms` of each objective's weighted gradient alone.

    It runs a backward pass per objective, so use it only for occasional steps. `gradients_of`
    makes the function that computes gradients, as `make_loss_and_gradients` does.
    """
    zeros = dict.fromkeys(objective.weights, 0.0)
    alone = {}
    for name, weight in objective.weights.items():
        if weight:
            alone[name] = gradients_of(dataclasses.replace(objective, **{**zeros, name: weight}))

    def gradient_norms(state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        return {
            name: optax.global_norm(loss_and_gradients(state.trainable, state.frozen, batch)[2])
            for name, loss_and_gradients in alone.items()
        }

    return jax.jit(gradient_norms)
