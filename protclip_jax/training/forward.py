"""One forward pass over packed rows, and its objectives as mergeable means (paper section 3).

Each objective declares what it reads (see `objectives.objective`). Only record embeddings cross
devices and micro-batches.
"""

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, UInt

from data_pipelines.training.batch import NUM_TEXT_SEGMENTS, Batch
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.global_batch import GlobalBatch
from protclip_jax.objectives.mean import Mean
from protclip_jax.objectives.objective import Objective
from protclip_jax.objectives.rows import Rows

RecordEmbeddings = dict[str, tuple[Float[Array, "R S ..."], ...]]
"""The arrays that each objective's contrast needs from the records."""


def gumbel_noise(seeds: UInt[Array, "R S"], num_prototypes: int) -> Float[Array, "R S 4 M"]:
    """Gumbel noise of each record and property, from the record's seed.

    It does not depend on the row or slot of the record.
    """

    def record_noise(seed):
        return jax.random.gumbel(
            jax.random.key(seed), (NUM_TEXT_SEGMENTS - 1, num_prototypes), jnp.float32
        )

    return jax.vmap(jax.vmap(record_noise))(seeds)


def forward_pass(
    model: ProtCLIPModel,
    params: dict,
    batch: Batch,
    config: ObjectiveConfig,
    noise: Float[Array, "R S 4 M"],
) -> tuple[RecordEmbeddings, dict[str, Mean]]:
    """Computes the record embeddings, and the losses within rows as (sum, count) over these rows.

    `noise` is added inside the prototype bank (zeros outside training). With separate masked passes
    (paper), MLM and BSR each run the protein tower on their own masked tokens. With a shared pass,
    one run masks both (disjoint) sets. Objectives with weight 0 are not computed.
    """
    objectives = config.objectives
    rows = Rows(model.bind({"params": params}), batch, config, objectives, noise)
    return _embeddings(objectives, rows), _losses(objectives, rows)


def embed_records(
    model: ProtCLIPModel,
    params: dict,
    batch: Batch,
    config: ObjectiveConfig,
    noise: Float[Array, "R S 4 M"],
) -> tuple[RecordEmbeddings, dict[str, Float[Array, ""]]]:
    """Computes the embeddings and loss counts of `forward_pass` without the masked passes."""
    masked, unmasked = {}, {}
    for name, objective in config.objectives.items():
        (masked if objective.masked else unmasked)[name] = objective
    rows = Rows(model.bind({"params": params}), batch, config, unmasked, noise)
    counts = {name: loss.count for name, loss in _losses(unmasked, rows).items()}
    for name, objective in masked.items():
        counts[name] = jnp.sum(objective.mask(batch), dtype=jnp.float32)
    return _embeddings(unmasked, rows), counts


def _embeddings(objectives: dict[str, Objective], rows: Rows) -> RecordEmbeddings:
    found = {name: objective.embed(rows) for name, objective in objectives.items()}
    return {name: embedded for name, embedded in found.items() if embedded is not None}


def _losses(objectives: dict[str, Objective], rows: Rows) -> dict[str, Mean]:
    found = {name: objective.loss(rows) for name, objective in objectives.items()}
    return {name: loss for name, loss in found.items() if loss is not None}


def contrast(
    model: ProtCLIPModel,
    params: dict,
    embeddings: RecordEmbeddings,
    batch: Batch,
    config: ObjectiveConfig,
    axes: tuple[str, ...] = (),
) -> dict[str, Mean]:
    """Contrasts these records with the global batch; each loss is a (sum, count) over them.

    `axes` are the mesh axes that divide the global batch, inside `jax.shard_map`. Only embeddings
    and hashes are gathered from other devices; gradients flow back to all of them.
    """
    objectives = config.objectives
    rows = Rows(model.bind({"params": params}), batch, config, {}, noise=None)
    global_batch = GlobalBatch(axes, batch.slot_mask.size)
    return {
        name: objectives[name].contrast(rows, embedded, global_batch)
        for name, embedded in embeddings.items()
    }


def total_loss(
    losses: dict[str, Mean], counts: dict[str, Float[Array, ""]], config: ObjectiveConfig
) -> Float[Array, ""]:
    """Σ weight · sum / count over the losses of some records; 0 if a count is 0.

    `counts` belong to the global batch. Summed over all records, this is the paper's
    L = L_GC + 0.7·L_BSR + 0.3·L_MLM + L_PDA.

    Raises:
      AssertionError: a sum or count is not a scalar.
    """
    for name, loss in losses.items():
        chex.assert_shape([loss.sum, counts[name]], ())
    parts = [
        config.weights[name] * Mean(loss.sum, counts[name]).value() for name, loss in losses.items()
    ]
    return sum(parts, start=jnp.float32(0))
