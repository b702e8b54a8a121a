"""One forward pass over packed rows, and the objectives from it as mergeable means (paper section
3).

Every objective says in its own file what it reads, see `objectives.objective`. What meets over
devices and micro-batches is embeddings of records only.
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
"""By objective, what its contrast needs of each record."""


def gumbel_noise(seeds: UInt[Array, "R S"], num_prototypes: int) -> Float[Array, "R S 4 M"]:
    """Gumbel noise of each record and property from the record's own seed, whatever row or slot
    it lies in."""

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
    """Each record's embeddings, and the losses that stay within a row, each a (sum, count) over
    these rows.

    `noise` is added inside the prototype bank (zeros outside training). With separate masked passes
    (paper) MLM and BSR each run the protein tower on their own masked tokens; with a shared pass
    one run masks both (disjoint) sets. An objective of weight 0 is not computed.
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
    """The embeddings, and the count of each loss, as `forward_pass` gives them, without the
    masked passes."""
    masked = {name: objective for name, objective in config.objectives.items() if objective.masked}
    unmasked = {
        name: objective for name, objective in config.objectives.items() if not objective.masked
    }
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
    """The contrasts of these records against those of the global batch, each a (sum, count) over
    these records.

    `axes` are the mesh axes that divide the global batch, inside `jax.shard_map`. Of the other
    devices' records only embeddings and hashes are fetched; gradients flow to all of them.
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
    """Σ weight · sum / count of some records' losses, by the counts of the global batch; 0 where
    nothing counts.

    Added up over all records it is the paper's L = L_GC + 0.7·L_BSR + 0.3·L_MLM + L_PDA.

    Raises:
      AssertionError: a sum or a count is not a scalar.
    """
    for name, loss in losses.items():
        chex.assert_shape([loss.sum, counts[name]], ())
    parts = [
        config.weights[name] * Mean(loss.sum, counts[name]).value() for name, loss in losses.items()
    ]
    return sum(parts, start=jnp.float32(0))
