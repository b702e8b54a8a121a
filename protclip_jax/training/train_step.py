"""The training step: losses, gradients of the trainable parameters, update; state explicit and donated."""

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.sharding import NamedSharding

from data_pipelines.training.batch import Batch
from protclip_jax.models.logit_scale import bound_scales
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.gradients import LossAndGradients
from protclip_jax.training.optimizer import unflatten


class TrainState(NamedTuple):
    """Everything that training changes, and the frozen parameters beside it. Parameters are flat path → array dicts."""

    step: jax.Array
    trainable: dict[str, jax.Array]
    frozen: dict[str, jax.Array]
    optimizer: optax.OptState

    @property
    def params(self) -> dict:
        """All parameters as the nested tree that the model applies."""
        return unflatten({**self.trainable, **self.frozen})

    @property
    def shardings(self) -> dict[str, NamedSharding]:
        """Where each parameter lies."""
        return {path: leaf.sharding for path, leaf in {**self.trainable, **self.frozen}.items()}


def make_train_step(
    loss_and_gradients: LossAndGradients, optimizer: optax.GradientTransformation, state: TrainState
) -> Callable[[TrainState, Batch], tuple[TrainState, dict]]:
    """A jitted `(state, batch) -> (state, metrics)`; the state is donated, and lies afterwards as the given one does.

    Metrics, replicated, are `losses` (sum, count), `pairs`, `scalars` and `finite`. A step whose loss or gradient is not finite
    leaves parameters and optimiser as they were and only counts the step.
    """

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        total, losses, gradients = loss_and_gradients(state.trainable, state.frozen, batch)
        gradient_norm = optax.global_norm(gradients)
        finite = jnp.isfinite(total) & jnp.isfinite(gradient_norm)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trainable)
        updated = bound_scales(optax.apply_updates(state.trainable, updates)), optimizer_state
        trainable, optimizer_state = jax.tree.map(
            lambda new, old: jnp.where(finite, new, old), updated, (state.trainable, state.optimizer)
        )
        metrics = {
            "losses": losses,
            "pairs": jnp.sum(batch.slot_mask),
            "finite": finite,
            "scalars": {
                "gradient_norm": gradient_norm,
                "logit_scale": jnp.exp(state.params["logit_scale"]["log"]),
                "segment_logit_scale": jnp.exp(state.params["segment_logit_scale"]["log"]),
            },
        }
        return TrainState(state.step + 1, trainable, state.frozen, optimizer_state), metrics

    shardings = jax.tree.map(lambda leaf: leaf.sharding, state)
    return jax.jit(train_step, donate_argnums=0, out_shardings=(shardings, None))


def skipped_steps(state: TrainState) -> int:
    """Steps so far whose update was skipped: those that the optimiser has not counted."""
    (_, counted), *_ = optax.tree_utils.tree_get_all_with_path(state.optimizer, "count")
    return int(state.step) - int(counted)


def make_gradient_norms(
    gradients_of: Callable[[ObjectiveConfig], LossAndGradients], objective: ObjectiveConfig
) -> Callable[[TrainState, Batch], dict[str, jax.Array]]:
    """A jitted `(state, batch) -> norms`: of each objective alone, the norm of its weighted loss's gradient.

    It takes a backward pass for each objective, so that it is for a step now and then. `gradients_of` makes the function to
    differentiate with, as `make_loss_and_gradients` does.
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
