"""Loss and gradients of a global batch on a mesh, optionally accumulated over micro-batches."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, Float

from data_pipelines.common.errors import UserError
from data_pipelines.training.batch import Batch
from protclip_jax.distributed.sharding import BATCH_AXES, GatherLayers, fsdp_axes, gather_heads
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.mean import Mean
from protclip_jax.training.forward import (
    RecordEmbeddings,
    contrast,
    embed_records,
    forward_pass,
    gumbel_noise,
    total_loss,
)
from protclip_jax.training.optimizer import unflatten

Parameters = dict[str, jax.Array]
"""Flattened parameters: path → array."""

ZERO = Mean(np.float32(0), np.float32(0))
"""The loss reported for an objective with weight 0."""

LossAndGradients = Callable[
    [Parameters, Parameters, Batch], tuple[jax.Array, dict[str, Mean], Parameters]
]
"""Maps (trainable, frozen, batch) to the total loss, each objective's (sum, count), and the
gradients of the trainable parameters."""


def make_loss_and_gradients(
    model: ProtCLIPModel,
    objective: ObjectiveConfig,
    shardings: Mapping[str, NamedSharding] | None = None,
    microbatch_rows: int | None = None,
) -> LossAndGradients:
    """Makes the function that computes loss and gradients; the caller compiles it.

    Args:
      model: the network, without a `gather` function.
      objective: weights and options of the objectives.
      shardings: sharding of every parameter path, all on one mesh; None = a single device. Under a
        mesh everything runs inside `jax.shard_map`, so that devices exchange only what is written
        here: the weights of a layer when it is reached, and their gradients in return; the
        embeddings of the batch's records; and sums. Token activations never leave their device.
      microbatch_rows: rows of the global batch computed at a time; None = all. Loss and gradients
        are the same (gradient caching, Gao et al. 2021): records are embedded in micro-batches, the
        gradient of the contrasts is taken at the embeddings of the whole batch, and a second pass
        propagates it together with the losses within rows.

    Raises:
      UserError: raised once the batch is known, if the micro-batches do not divide its rows, or the
        devices do not divide a micro-batch.
    """
    mesh = next(iter(shardings.values())).mesh if shardings else None
    devices = mesh.size if mesh else 1

    def loss_and_gradients(trainable: Parameters, frozen: Parameters, batch: Batch):
        rows = batch.slot_mask.shape[0]
        at_a_time = microbatch_rows or rows
        if rows % at_a_time or at_a_time % devices:
            raise UserError(
                f"batch.microbatch_rows={at_a_time} must divide batch.rows={rows} and be a "
                f"multiple of the {devices} devices; change it or batch.rows."
            )
        microbatches = rows // at_a_time
        if mesh is None:
            device = Device(model, objective, frozen, batch)
            return _on_device(device, trainable, microbatches)

        def of_each_device(trainable: Parameters, frozen: Parameters, batch: Batch):
            fsdp, gathering = fsdp_axes(shardings), None
            if fsdp:
                gathering = GatherLayers(tuple(fsdp.items()), model.config.shared.dtype)
            local_model = model.clone(gather=gathering)
            device = Device(local_model, objective, frozen, batch, BATCH_AXES, fsdp)
            return _on_device(device, trainable, microbatches)

        def specs(params):
            return {path: shardings[path].spec for path in params}

        of_all = jax.shard_map(
            of_each_device,
            mesh=mesh,
            in_specs=(specs(trainable), specs(frozen), PartitionSpec(BATCH_AXES)),
            out_specs=(PartitionSpec(), PartitionSpec(), specs(trainable)),
            check_vma=False,
        )
        return of_all(trainable, frozen, batch)

    return loss_and_gradients


class Device(NamedTuple):
    """The inputs of one device: its rows, its parameter shards and its place in the mesh."""

    model: ProtCLIPModel
    objective: ObjectiveConfig
    frozen: Parameters
    batch: Batch
    axes: tuple[str, ...] = ()
    """Mesh axes that divide the batch; () on a single device."""
    fsdp: Mapping[str, int] = MappingProxyType({})
    """By path, the array axis along which a parameter is sharded over the mesh axis `fsdp`."""

    def add_up(self, tree):
        """Sums over all devices."""
        return jax.lax.psum(tree, self.axes) if self.axes else tree

    def params(self, trainable: Parameters) -> dict:
        """The parameter tree for the model; only sharded heads are gathered here."""
        return unflatten(gather_heads({**trainable, **self.frozen}, self.fsdp))

    def embed(
        self, trainable: Parameters, rows: Batch
    ) -> tuple[RecordEmbeddings, dict[str, Float[Array, ""]]]:
        """Computes the embeddings of some rows, and the count of each loss within rows."""
        noise = gumbel_noise(rows.noise_seeds, self.model.config.num_prototypes)
        return embed_records(self.model, self.params(trainable), rows, self.objective, noise)

    def forward(
        self, trainable: Parameters, rows: Batch
    ) -> tuple[RecordEmbeddings, dict[str, Mean]]:
        """Computes the embeddings of some rows, and the losses within rows."""
        noise = gumbel_noise(rows.noise_seeds, self.model.config.num_prototypes)
        return forward_pass(self.model, self.params(trainable), rows, self.objective, noise)

    def contrast_loss(
        self, trainable: Parameters, embeddings: RecordEmbeddings
    ) -> tuple[Float[Array, ""], dict[str, Mean]]:
        """This device's share of the weighted contrasts, and each contrast, from all its rows."""
        params = self.params(trainable)
        losses = contrast(self.model, params, embeddings, self.batch, self.objective, self.axes)
        return total_loss(losses, self.counts(losses), self.objective), losses

    def counts(self, losses: Mapping[str, Mean]) -> dict[str, Float[Array, ""]]:
        """Number of items in the global batch that each loss averages over."""
        return self.add_up({name: loss.count for name, loss in losses.items()})


def _on_device(
    device: Device, trainable: Parameters, microbatches: int
) -> tuple[Float[Array, ""], dict[str, Mean], Parameters]:
    """Computes one device's rows; the returned values are already summed over all devices."""
    if microbatches == 1:
        total, losses, gradients = gradients_at_once(device, trainable)
    else:
        total, losses, gradients = gradients_in_microbatches(device, trainable, microbatches)
    # The gradient of a gathered weight's shard is already summed over the axis `fsdp`.
    others = tuple(axis for axis in device.axes if axis != "fsdp")
    for path, gradient in gradients.items():
        gradients[path] = (
            jax.lax.psum(gradient, others) if path in device.fsdp else device.add_up(gradient)
        )
    losses = dict.fromkeys(device.objective.weights, ZERO) | losses
    return *device.add_up((total, losses)), gradients


def gradients_at_once(
    device: Device, trainable: Parameters
) -> tuple[Float[Array, ""], dict[str, Mean], Parameters]:
    """Loss, losses and gradients of this device's rows in one forward and one backward pass."""

    def loss(trainable):
        embeddings, losses = device.forward(trainable, device.batch)
        contrasts, contrast_losses = device.contrast_loss(trainable, embeddings)
        total = contrasts + total_loss(losses, device.counts(losses), device.objective)
        return total, contrast_losses | losses

    (total, losses), gradients = jax.value_and_grad(loss, has_aux=True)(trainable)
    return total, losses, gradients


def gradients_in_microbatches(
    device: Device, trainable: Parameters, microbatches: int
) -> tuple[Float[Array, ""], dict[str, Mean], Parameters]:
    """Computes the same in micro-batches of rows (gradient caching, Gao et al. 2021).

    First it computes the embeddings of all rows, then the contrasts and their gradient at the
    embeddings. A second pass over the micro-batches propagates that gradient together with the
    losses within rows. Only one micro-batch's activations are stored at a time.
    """
    divided = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), device.batch)
    embeddings, counts = jax.lax.map(lambda rows: device.embed(trainable, rows), divided)
    # All counts of the global batch are known before the backward pass.
    counts = device.add_up(jax.tree.map(jnp.sum, counts))
    embeddings = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), embeddings)
    with_embeddings = jax.value_and_grad(device.contrast_loss, argnums=(0, 1), has_aux=True)
    (total, contrast_losses), (gradients, d_embeddings) = with_embeddings(trainable, embeddings)

    def backward(so_far, of_microbatch):
        rows, d_embeddings = of_microbatch

        def loss(trainable):
            embeddings, losses = device.forward(trainable, rows)
            contrasts = jax.tree.map(lambda x, d: jnp.sum(x * d), embeddings, d_embeddings)
            of_rows = total_loss(losses, counts, device.objective)
            return sum(jax.tree.leaves(contrasts), of_rows), (of_rows, losses)

        gradients, (of_rows, losses) = jax.grad(loss, has_aux=True)(trainable)
        return jax.tree.map(jnp.add, so_far, (gradients, of_rows, losses)), None

    start = gradients, total, dict.fromkeys(counts, ZERO)
    d_embeddings = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), d_embeddings)
    (gradients, total, losses), _ = jax.lax.scan(backward, start, (divided, d_embeddings))
    return total, contrast_losses | losses, gradients
