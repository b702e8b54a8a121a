"""The training step: losses, gradients of the trainable parameters, update; state explicit and donated."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from data_pipelines.batch import Batch
from protclip_jax.forward import ObjectiveConfig, gumbel_noise, pretraining_losses, total_loss
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.mean import Mean
from protclip_jax.optimizer import unflatten


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


def loss_and_gradients(
    model: ProtCLIPModel, objective: ObjectiveConfig, trainable: dict, frozen: dict, batch: Batch
) -> tuple[jax.Array, dict[str, Mean], dict]:
    """(total loss, each objective's (sum, count), gradients of the trainable parameters) of one global batch."""
    noise = gumbel_noise(batch.noise_seeds, model.config.num_prototypes)

    def loss(trainable):
        losses = pretraining_losses(model, unflatten({**trainable, **frozen}), batch, objective, noise)
        return total_loss(losses, objective), losses

    (total, losses), gradients = jax.value_and_grad(loss, has_aux=True)(trainable)
    return total, losses, gradients


def make_train_step(model: ProtCLIPModel, objective: ObjectiveConfig, optimizer: optax.GradientTransformation):
    """A jitted `(state, batch) -> (state, metrics)`; metrics are replicated: `losses` (sum, count), `pairs`, `scalars`."""

    def train_step(state: TrainState, batch: Batch) -> tuple[TrainState, dict[str, jax.Array]]:
        _, losses, gradients = loss_and_gradients(model, objective, state.trainable, state.frozen, batch)
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trainable)
        trainable = optax.apply_updates(state.trainable, updates)
        metrics = {
            "losses": losses,
            "pairs": jnp.sum(batch.slot_mask),
            "scalars": {
                "gradient_norm": optax.global_norm(gradients),
                "logit_scale": jnp.exp(state.params["logit_scale"]["log"]),
                "segment_logit_scale": jnp.exp(state.params["segment_logit_scale"]["log"]),
            },
        }
        return TrainState(state.step + 1, trainable, state.frozen, optimizer_state), metrics

    return jax.jit(train_step, donate_argnums=0)
