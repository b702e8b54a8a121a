"""Loss and gradients of a run, by its config: mesh, micro-batches, adapters and frozen layers."""

from ml_collections import ConfigDict

from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.training.gradients import LossAndGradients, make_loss_and_gradients
from protclip_jax.training.layer_rates import layer_shares, without_frozen_layers
from protclip_jax.training.lora import through_adapters
from protclip_jax.training.optimizer import group_rules
from protclip_jax.training.train_state import TrainState


def make_run_gradients(
    model: ProtCLIPModel,
    state: TrainState,
    config: ConfigDict,
    objective: ObjectiveConfig,
) -> LossAndGradients:
    """Applies `make_loss_and_gradients` with the options of the run's config.

    `state`, which may be abstract, gives the shardings and the trainable parameters.
    """
    at_a_time = config.batch.microbatch_rows
    of_network = make_loss_and_gradients(model, objective, state.shardings, at_a_time)
    of_all = through_adapters(of_network) if config.lora.rank else of_network
    shares = layer_shares(state.trainable, group_rules(state.trainable, config.optimizer.groups))

    def loss_and_gradients(trainable, frozen, batch):
        total, losses, gradients = of_all(trainable, frozen, batch)
        return total, losses, without_frozen_layers(gradients, shares)

    return loss_and_gradients
