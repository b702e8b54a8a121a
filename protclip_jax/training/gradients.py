"""The loss of a global batch and its gradients: over the devices of a mesh, and at once or micro-batch by micro-batch."""

import functools
from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from data_pipelines.common.errors import UserError
from data_pipelines.training.batch import Batch
from protclip_jax.distributed.sharding import BATCH_AXES, GatherLayers, fsdp_axes, gather_heads
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.mean import Mean
from protclip_jax.training.forward import contrast, embed_records, forward_pass, gumbel_noise, total_loss
from protclip_jax.training.optimizer import unflatten

Parameters = dict[str, jax.Array]
"""Flattened: path → array."""

ZERO = Mean(np.float32(0), np.float32(0))
"""What an objective of weight 0 reports."""

LossAndGradients = Callable[[Parameters, Parameters, Batch], tuple[jax.Array, dict[str, Mean], Parameters]]
"""(trainable, frozen, batch) → (total loss, each objective's (sum, count), gradients of the trainable parameters)."""


def make_loss_and_gradients(
    model: ProtCLIPModel,
    objective: ObjectiveConfig,
    shardings: Mapping[str, NamedSharding] | None = None,
    microbatch_rows: int | None = None,
) -> LossAndGradients:
    """The function to differentiate with, to be compiled by the caller.

    Args:
      shardings: of every parameter path, all on one mesh; None = on one device. Under a mesh everything runs inside
        `jax.shard_map`, so that what devices exchange is what is written here and no more: a layer's weights when the layer
        is reached and their gradients in return, the embeddings of the batch's records, and sums. Token activations never
        leave their device.
      microbatch_rows: rows of the global batch that are computed at a time; None = all. Loss and gradients are the same:
        the records are embedded micro-batch by micro-batch, the contrasts' gradient is taken at the embeddings of the whole
        batch, and a second pass carries it back together with the objectives of single records (gradient caching, Gao et al.
        2021).

    Raises:
      UserError: when the batch is known: the micro-batches do not divide its rows, or the devices do not divide them.
    """
    mesh = next(iter(shardings.values())).mesh if shardings else None
    devices = mesh.size if mesh else 1

    def loss_and_gradients(trainable: Parameters, frozen: Parameters, batch: Batch):
        rows = batch.slot_mask.shape[0]
        at_a_time = microbatch_rows or rows
        if rows % at_a_time or at_a_time % devices:
            raise UserError(
                f"batch.microbatch_rows={at_a_time} must divide batch.rows={rows} and be a multiple of the {devices} devices."
            )
        of_device = functools.partial(_of_device, model, objective, microbatches=rows // at_a_time)
        if mesh is None:
            return of_device(trainable, frozen, batch)

        def specs(params):
            return {path: shardings[path].spec for path in params}

        of_all = jax.shard_map(
            functools.partial(of_device, axes=BATCH_AXES, fsdp=fsdp_axes(shardings)),
            mesh=mesh,
            in_specs=(specs(trainable), specs(frozen), PartitionSpec(BATCH_AXES)),
            out_specs=(PartitionSpec(), PartitionSpec(), specs(trainable)),
            check_vma=False,
        )
        return of_all(trainable, frozen, batch)

    return loss_and_gradients


def _of_device(
    model: ProtCLIPModel,
    objective: ObjectiveConfig,
    trainable: Parameters,
    frozen: Parameters,
    batch: Batch,
    *,
    microbatches: int,
    axes: tuple[str, ...] = (),
    fsdp: Mapping[str, int] | None = None,
) -> tuple[jax.Array, dict[str, Mean], Parameters]:
    """What one device computes from its rows and its parts of the parameters; sums are over the devices of `axes`."""
    add_up = functools.partial(jax.lax.psum, axis_name=axes) if axes else lambda tree: tree
    fsdp = fsdp or {}
    if fsdp:
        model = model.clone(gather=GatherLayers(tuple(fsdp.items()), model.config.shared.dtype))

    def gathered(trainable):
        return unflatten(gather_heads({**trainable, **frozen}, fsdp))

    def inputs(params, rows):
        return model, params, rows, objective, gumbel_noise(rows.noise_seeds, model.config.num_prototypes)

    def contrast_loss(trainable, embeddings):
        losses = contrast(model, gathered(trainable), embeddings, batch, objective, axes)
        counts = add_up({name: loss.count for name, loss in losses.items()})
        return total_loss(losses, counts, objective), losses

    if microbatches == 1:

        def loss(trainable):
            embeddings, losses = forward_pass(*inputs(gathered(trainable), batch))
            contrasts, contrast_losses = contrast_loss(trainable, embeddings)
            counts = add_up({name: loss.count for name, loss in losses.items()})
            return contrasts + total_loss(losses, counts, objective), contrast_losses | losses

        (total, losses), gradients = jax.value_and_grad(loss, has_aux=True)(trainable)
    else:
        divided = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), batch)
        embeddings, counts = jax.lax.map(lambda rows: embed_records(*inputs(gathered(trainable), rows)), divided)
        # Every count is known before the backward pass, and is that of the global batch.
        counts = add_up(jax.tree.map(jnp.sum, counts))
        embeddings = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), embeddings)
        with_embeddings = jax.value_and_grad(contrast_loss, argnums=(0, 1), has_aux=True)
        (total, contrast_losses), (gradients, d_embeddings) = with_embeddings(trainable, embeddings)

        def backward(so_far, of_microbatch):
            rows, d_embeddings = of_microbatch

            def loss(trainable):
                embeddings, losses = forward_pass(*inputs(gathered(trainable), rows))
                contrasts = jax.tree.map(lambda x, d: jnp.sum(x * d), embeddings, d_embeddings)
                tokens = total_loss(losses, counts, objective)
                return sum(jax.tree.leaves(contrasts), tokens), (tokens, losses)

            gradients, (tokens, losses) = jax.grad(loss, has_aux=True)(trainable)
            return jax.tree.map(jnp.add, so_far, (gradients, tokens, losses)), None

        start = gradients, total, dict.fromkeys(counts, ZERO)
        d_embeddings = jax.tree.map(lambda x: x.reshape(microbatches, -1, *x.shape[1:]), d_embeddings)
        (gradients, total, losses), _ = jax.lax.scan(backward, start, (divided, d_embeddings))
        losses = contrast_losses | losses

    # A part of a gathered weight has its gradient of all devices along `fsdp` already.
    others = tuple(axis for axis in axes if axis != "fsdp")
    gradients = {path: jax.lax.psum(x, others) if path in fsdp else add_up(x) for path, x in gradients.items()}
    return *add_up((total, dict.fromkeys(objective.weights, ZERO) | losses)), gradients
