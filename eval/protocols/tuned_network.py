"""The network of fine-tuning on packed rows over a mesh: protein tower, mean, two-layer head.

A batch of many records is packed into as many rows as it needs and processed a few rows at a time,
so that one program of fixed shape serves all batches: every part adds its gradient, and the loss is
the mean over the records of the whole batch.
"""

import dataclasses
import functools
import pathlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, PartitionSpec
from jaxtyping import Array, Float, Float32, Int
from ml_collections import ConfigDict

from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Example
from data_pipelines.training.packing import pack_all, pack_rows
from eval.protocols.heads import TwoLayerHead
from eval.protocols.standardise import mean_and_spread
from protclip_jax.checkpoints.metadata import read_model_config
from protclip_jax.checkpoints.parameters import load_params
from protclip_jax.config.build import model_config
from protclip_jax.distributed import sharding
from protclip_jax.inference.batched_calls import SLOTS, run_packed
from protclip_jax.models.heads import pool_slots
from protclip_jax.models.initialize import abstract_groups
from protclip_jax.models.protclip import ProtCLIPModel, residue_slot_ids
from protclip_jax.objectives.mean import Mean
from protclip_jax.training.initial_state import init_optimizer
from protclip_jax.training.optimizer import flatten, make_optimizer, partition, unflatten
from protclip_jax.training.train_state import TrainState


class Rows(NamedTuple):
    """Some packed rows with the target of each slot; empty slots have zeros."""

    batch: Batch
    targets: np.ndarray
    """[R, S], or [R, S, C] of a multi-label task."""


class Part(NamedTuple):
    """What some rows contribute to a batch."""

    gradients: dict[str, Array]
    loss: Mean


@dataclasses.dataclass(frozen=True)
class TunedNetwork:
    """The network, the loss and the mesh.

    Parameters are passed in, flat as in `TrainState`: `protein/…`, `head/…`, and `features/mean`
    and `features/spread`, which are never trained.
    """

    model: ProtCLIPModel
    head: TwoLayerHead
    loss: Callable[[Array, Array], Array]
    mesh: Mesh

    def features(self, params: dict, batch: Batch, num_slots: int) -> Float[Array, "R S D"]:
        """The tower's mean over each slot's residues (without `<cls>` and `<eos>`)."""
        inputs = batch.protein_tokens, batch.protein_slot_ids, batch.protein_positions
        hidden = self.model.apply(
            {"params": {"protein": params["protein"]}},
            *inputs,
            num_slots,
            method=ProtCLIPModel.encode_protein,
        )
        residues = residue_slot_ids(batch.protein_tokens, batch.protein_slot_ids)
        return pool_slots(sharding.shard_rows(hidden), residues, num_slots)

    def outputs(self, params: dict, batch: Batch, num_slots: int) -> Float[Array, "R S C"]:
        """The head's outputs for features, standardised by the state's mean and spread."""
        features = (self.features(params, batch, num_slots) - params["features"]["mean"]) / params[
            "features"
        ]["spread"]
        return self.head.apply({"params": params["head"]}, features)

    @functools.partial(jax.jit, static_argnums=0, donate_argnums=1)
    def add(self, part: Part, state: TrainState, rows: Rows, records: Float[Array, ""]) -> Part:
        """Adds these rows' contribution to `part`, for a batch of `records` records."""

        def loss(trainable):
            outputs = self.outputs(
                unflatten({**trainable, **state.frozen}), rows.batch, rows.batch.slot_mask.shape[1]
            )
            of_rows = Mean.over(self.loss(outputs, rows.targets), rows.batch.slot_mask)
            return of_rows.sum / records, of_rows

        gradients, of_rows = jax.grad(loss, has_aux=True)(state.trainable)
        return Part(jax.tree.map(jnp.add, part.gradients, gradients), part.loss + of_rows)

    @functools.partial(jax.jit, static_argnums=(0, 1), donate_argnums=2)
    def update(
        self,
        optimizer: optax.GradientTransformation,
        state: TrainState,
        gradients: dict[str, Array],
    ) -> TrainState:
        """One step of the optimiser."""
        updates, optimizer_state = optimizer.update(gradients, state.optimizer, state.trainable)
        return TrainState(
            state.step + 1,
            optax.apply_updates(state.trainable, updates),
            state.frozen,
            optimizer_state,
        )

    def train_step(
        self,
        optimizer: optax.GradientTransformation,
        state: TrainState,
        parts: Sequence[Rows],
        records: int,
    ) -> tuple[TrainState, Mean]:
        """Updates from a batch in parts; returns the batch's loss as (sum, count)."""
        with jax.set_mesh(self.mesh):
            part = Part(
                jax.tree.map(jnp.zeros_like, state.trainable), Mean(jnp.float32(0), jnp.float32(0))
            )
            for rows in parts:
                part = self.add(part, state, self._on_devices(rows), jnp.float32(records))
            return self.update(optimizer, state, part.gradients), part.loss

    def predict(self, params: dict, examples: Sequence[Example]) -> Float32[np.ndarray, "n C"]:
        """The head's outputs in the order of the examples."""
        return self._of_each(TunedNetwork.outputs, params, examples, width=self.head.outputs)

    def predict_features(
        self, params: dict, examples: Sequence[Example]
    ) -> Float32[np.ndarray, "n D"]:
        """The tower's means over residues in the order of the examples."""
        return self._of_each(
            TunedNetwork.features, params, examples, width=self.model.config.protein.hidden_size
        )

    def _of_each(
        self, method: Callable, params: dict, examples: Sequence[Example], *, width: int
    ) -> Float32[np.ndarray, "n width"]:
        found = np.zeros((len(examples), width), np.float32)
        call = functools.partial(self._replicated, method, params)
        for position, values in run_packed(call, examples, mesh=self.mesh):
            found[position.index] = values[position.row, position.slot]
        return found

    @functools.partial(jax.jit, static_argnums=(0, 1))
    def _replicated(
        self, method: Callable, params: dict, batch: Batch, _: Array
    ) -> Float[Array, "R S C"]:
        return jax.lax.with_sharding_constraint(method(self, params, batch, SLOTS), PartitionSpec())

    def _on_devices(self, rows: Rows) -> Rows:
        """Every process has packed all rows; each device gets its own share."""
        count = len(rows.targets)
        owned = sharding.local_rows(self.mesh, count)
        return sharding.global_batch(jax.tree.map(lambda x: x[owned], rows), self.mesh, count)


def packed_batches(
    examples: Sequence[Example],
    targets: np.ndarray,
    order: Int[np.ndarray, " n"],
    config: ConfigDict,
) -> Iterator[tuple[int, list[Rows]]]:
    """Batches of `config.records` examples in the given order, the last maybe smaller.

    Each is (records, parts): packed into rows of `config.slots` slots and `config.protein_tokens`
    tokens, with `config.rows` rows per part, the last part filled up with empty rows.
    """
    shape = {"slots": config.slots, "protein_tokens": config.protein_tokens, "text_tokens": 0}
    for start in range(0, len(order), config.records):
        chosen = order[start : start + config.records]
        packed = pack_all([examples[index] for index in chosen], **shape)
        rows = packed.rows + [[]] * (-len(packed.rows) % config.rows)
        laid_out = np.zeros((len(rows), config.slots, *targets.shape[1:]), targets.dtype)
        laid_out[packed.placement[:, 0], packed.placement[:, 1]] = targets[chosen]
        parts = [slice(first, first + config.rows) for first in range(0, len(rows), config.rows)]
        yield len(chosen), [Rows(pack_rows(rows[part], **shape), laid_out[part]) for part in parts]


def make_network(
    checkpoint: pathlib.Path,
    config: ConfigDict,
    *,
    outputs: int,
    loss: Callable[[Array, Array], Array],
    mesh: Mesh,
) -> TunedNetwork:
    """A checkpoint's protein tower, without its weights, under a new head.

    The config sets dtype and remat.
    """
    stored = read_model_config(checkpoint)["model"]
    fields = {**stored, "text": None, "dtype": config.dtype, "remat": config.remat}
    model = ProtCLIPModel(model_config({"model": fields}, text_vocab_size=0))
    hidden = config.hidden or model.config.protein.hidden_size
    return TunedNetwork(model, TwoLayerHead(hidden, outputs, config.dtype), loss, mesh)


def initial_state(
    network: TunedNetwork,
    checkpoint: pathlib.Path,
    step: int,
    config: ConfigDict,
    *,
    seed: int,
    total_steps: int,
) -> tuple[TrainState, optax.GradientTransformation]:
    """The checkpoint's tower, a random head and the optimiser, sharded by `config.mesh.rules`.

    The head reads the features as they are; see `standardised`.
    """
    width = jnp.zeros((1, network.model.config.protein.hidden_size))

    def new_head(key: Array) -> dict:
        return flatten({"head": network.head.init(key, width)["params"]})

    heads = jax.eval_shape(new_head, jax.random.key(0))
    towers = flatten(abstract_groups(network.model, ["protein"]))
    shapes = {path: leaf.shape for path, leaf in (towers | heads).items()}
    shardings = sharding.param_shardings(shapes, network.mesh, config.mesh.rules)
    abstract = {
        path: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings[path])
        for path, x in towers.items()
    }
    params = flatten(load_params(checkpoint, step, unflatten(abstract)))
    params |= jax.jit(new_head, out_shardings={path: shardings[path] for path in heads})(
        jax.random.key(seed)
    )
    trainable, frozen = partition(params, config.optimizer.groups)
    frozen |= _scale(network, np.zeros(width.shape[1]), np.ones(width.shape[1]))
    optimizer = make_optimizer(config.optimizer, trainable, total_steps)
    counter = jax.device_put(jnp.int32(0), sharding.replicated(network.mesh))
    return TrainState(
        counter, trainable, frozen, init_optimizer(optimizer, trainable, network.mesh)
    ), optimizer


def standardised(
    network: TunedNetwork, state: TrainState, examples: Sequence[Example]
) -> TrainState:
    """Sets the state's features mean and spread so that the head reads standardised features.

    The statistics are those of these examples.
    """
    mean, spread = mean_and_spread(network.predict_features(state.params, examples))
    return state._replace(frozen={**state.frozen, **_scale(network, mean, spread)})


def _scale(network: TunedNetwork, mean: np.ndarray, spread: np.ndarray) -> dict[str, Array]:
    values = {
        "features/mean": mean.astype(np.float32),
        "features/spread": spread.astype(np.float32),
    }
    return jax.device_put(values, sharding.replicated(network.mesh))
