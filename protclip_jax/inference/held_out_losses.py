"""Computes the training objectives on held-out records, without noise and with fixed masks."""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from data_pipelines.protanno.record import Record
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import encode_example
from data_pipelines.training.masking import MASKS
from data_pipelines.training.packing import pack_all, pack_rows
from protclip_jax.config.build import objective_config
from protclip_jax.inference.batched_calls import everywhere, on_devices
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.config import ObjectiveConfig
from protclip_jax.objectives.mean import Mean
from protclip_jax.training.forward import RecordEmbeddings, contrast, forward_pass

_SEED = 0
"""Seed of masks and crops: the same for every run, so that runs can be compared."""


def held_out_losses(
    model: ProtCLIPModel,
    params: Mapping,
    records: Sequence[Record],
    *,
    config: Mapping,
    text_tokenizer: TextTokenizer,
    mesh: Mesh,
) -> dict[str, float]:
    """`total` (the weighted sum) and each objective's mean over the records as one global batch.

    `config` is the whole training config. The value of a contrast depends on the number of records;
    that of an objective within rows, on how the records are packed into rows.
    """
    objective = objective_config(config, prefix_tokens=text_tokenizer.prefix_tokens)
    sums = dict.fromkeys(objective.weights, Mean(np.float32(0), np.float32(0)))
    embeddings, batches = [], []
    for batch in _batches(records, config, text_tokenizer, rows=mesh.size):
        with jax.set_mesh(mesh):
            of_rows, losses = _forward(model, objective, params, on_devices(batch, mesh))
        embeddings.append(of_rows)
        batches.append(batch)
        for name, loss in jax.device_get(losses).items():
            sums[name] += loss
    joined, whole = jax.tree.map(_joined, *embeddings), jax.tree.map(_joined, *batches)
    with jax.set_mesh(mesh):
        sums |= jax.device_get(_contrast(model, objective, params, joined, whole))
    values = {name: float(loss.value()) for name, loss in sums.items()}
    total = sum(weight * values[name] for name, weight in objective.weights.items())
    return {"total": total} | values


def _joined(*arrays: jax.Array | np.ndarray) -> np.ndarray:
    return np.concatenate([np.asarray(array) for array in arrays])


def _batches(
    records: Sequence[Record], config: Mapping, text_tokenizer: TextTokenizer, *, rows: int
) -> list[Batch]:
    """Packs the records into batches of `rows` rows as in training; the last batch is padded."""
    of_text, shape = config["tokenizer"], config["batch"]
    examples = []
    for draw, record in enumerate(records):
        example = encode_example(
            record,
            seed=_SEED,
            draw=draw,
            text_tokenizer=text_tokenizer,
            masks=MASKS[config["masking"]["passes"]],
            max_protein_tokens=of_text["max_protein_tokens"],
            max_text_tokens=of_text["max_text_tokens"],
            crop_ends=of_text["crop_ends"],
        )
        examples.append(example)
    sizes = {name: shape[name] for name in ("slots", "protein_tokens", "text_tokens")}
    packed = pack_all(examples, **sizes).rows
    packed += [[]] * (-len(packed) % rows)
    starts = range(0, len(packed), rows)
    return [pack_rows(packed[start : start + rows], **sizes) for start in starts]


@functools.partial(jax.jit, static_argnums=(0, 1))
def _forward(
    model: ProtCLIPModel, objective: ObjectiveConfig, params: Mapping, batch: Batch
) -> tuple[RecordEmbeddings, dict[str, Mean]]:
    rows, slots, segments = batch.text_hashes.shape
    noise = jnp.zeros((rows, slots, segments - 1, model.config.num_prototypes))
    return jax.tree.map(everywhere, forward_pass(model, params, batch, objective, noise))


@functools.partial(jax.jit, static_argnums=(0, 1))
def _contrast(
    model: ProtCLIPModel,
    objective: ObjectiveConfig,
    params: Mapping,
    embeddings: RecordEmbeddings,
    batch: Batch,
) -> dict[str, Mean]:
    return jax.tree.map(everywhere, contrast(model, params, embeddings, batch, objective))
