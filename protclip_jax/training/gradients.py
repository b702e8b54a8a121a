"""The loss of a global batch and its gradients: over the devices of a mesh, and at once or
micro-batch by micro-batch."""

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
"""Flattened: path → array."""

ZERO = Mean(np.float32(0), np.float32(0))
"""What an objective of weight 0 reports."""

LossAndGradients = Callable[
    [Parameters, Parameters, Batch], tuple[jax.Array, dict[str, Mean], Parameters]
]
"""(trainable, frozen, batch) → (total loss, each objective's (sum, count), gradients of the
trainable parameters)."""


def make_loss_and_gradients(
    model: ProtCLIPModel,
    objective: ObjectiveConfig,
    shardings: Mapping[str, NamedSharding] | None = None,
    microbatch_rows: int | None = None,
) -> LossAndGradients:
    """The function to differentiate with, to be compiled by the caller.

    Args:
      shardings: of every parameter path, all on one mesh; None = on one device. Under a mesh
        everything runs inside `jax.shard_map`, so that what devices exchange is what is written
        here and no more: a layer's weights when the layer is reached and their gradients in return,
          the embeddings of the batch's records, and sums. Token activations never
        leave their device.
      microbatch_rows: rows of the global batch that are computed at a time; None = all. Loss and
        gradients are the same: the records are embedded micro-batch by micro-batch, the contrasts'
          gradient is taken at the embeddings of the whole
        batch, and a second pass carries it back together with the objectives of single records
        (gradient caching, Gao et al. 2021).

    Raises:
      UserError: when the batch is known: the micro-batches do not divide its rows, or the
        devices do not divide them.
    """
    mesh = next(iter(shardings.values())).mesh if shardings else None
    devices = mesh.size if mesh else 1

    def loss_and_gradients(trainable: Parameters, frozen: Parameters, batch: Batch):
        rows = batch.slot_mask.shape[0]
        at_a_time = microbatch_rows or rows
        if rows % at_a_time or at_a_time % devices:
            raise UserError(
                f"batch.microbatch_rows={at_a_time} must divide batch.rows={rows} and be a "
                f"multiple of the {devices} devices."
            )
        microbatches = rows // at_a_time
        if mesh is None:
            device = Device(model, objective, frozen, batch)
            return _on_device(device, trainable, microbatches)

        def of_each_device(trainable: Parameters, frozen: Parameters, batch: Batch):
            fsdp = fsdp_axes(shardings)
            gathering = (
                GatherLayers(tuple(fsdp.items()), model.config.shared.dtype) if fsdp else None
            )
            device = Device(
                model.clone(gather=gathering), objective, frozen, batch, BATCH_AXES, fsdp
            )
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
    """What one device computes with: its rows, its parts of the parameters, and its place in the
    mesh."""

    model: ProtCLIPModel
    objective: ObjectiveConfig
    frozen: Parameters
    batch: Batch
    axes: tuple[str, ...] = ()
    """Mesh axes that divide the batch; () for the only device."""
    fsdp: Mapping[str, int] = MappingProxyType({})
    """The array axis along which a parameter is divided over the mesh axis `fsdp`, by path."""

    def add_up(self, tree):
        """Sums over all devices."""
        return jax.lax.psum(tree, self.axes) if self.axes else tree

    def params(self, trainable: Parameters) -> dict:
        """The tree that the model applies; of divided weights, only the heads are made whole
        here."""
        return unflatten(gather_heads({**trainable, **self.frozen}, self.fsdp))

    def embed(
        self, trainable: Parameters, rows: Batch
    ) -> tuple[RecordEmbeddings, dict[str, Float[Array, ""]]]:
        """The embeddings of some rows, and the count of each loss that stays within a row."""
        noise = gumbel_noise(rows.noise_seeds, self.model.config.num_prototypes)
        return embed_records(self.model, self.params(trainable), rows, self.objective, noise)

    def forward(
        self, trainable: Parameters, rows: Batch
    ) -> tuple[RecordEmbeddings, dict[str, Mean]]:
        """The embeddings of some rows, and the losses that stay within a row."""
        noise = gumbel_noise(rows.noise_seeds, self.model.config.num_prototypes)
        return forward_pass(self.model, self.params(trainable), rows, self.objective, noise)

    def contrast_loss(
        self, trainable: Parameters, embeddings: RecordEmbeddings
    ) -> tuple[Float[Array, ""], dict[str, Mean]]:
        """This device's part of the weighted contrasts, and each of them, from the embeddings of
        all its rows."""
        params = self.params(trainable)
        losses = contrast(self.model, params, embeddings, self.batch, self.objective, self.axes)
        return total_loss(losses, self.counts(losses), self.objective), losses

    def counts(self, losses: Mapping[str, Mean]) -> dict[str, Float[Array, ""]]:
        """How many items of the global batch each loss is a mean over."""
        return self.add_up({name: loss.count for name, loss in losses.items()})


def _on_device(
    device: Device, trainable: Parameters, microbatches: int
) -> tuple[Float[Array, ""], dict[str, Mean], Parameters]:
    """One device's share of the work; what it returns is summed over the devices."""
    if microbatches == 1:
        total, losses, gradients = gradients_at_once(device, trainable)
    else:
        total, losses, gradients = gradients_in_microbatches(device, trainable, microbatches)
    # A part of a gathered weight has its gradient of all devices along `fsdp` already.
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
    """The same from one micro-batch of rows after the other (gradient caching, Gao et al. 2021).

    First the embeddings of all rows, then the contrasts and their gradient at the embeddings, then
    a second pass that carries it back together with the losses within a row. No more than a
    micro-batch's activations are kept.
    """
    divided = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), device.batch)
    embeddings, counts = jax.lax.map(lambda rows: device.embed(trainable, rows), divided)
    # Every count is known before the backward pass, and is that of the global batch.
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
