"""The training step of a config, traced for abstract devices."""

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import ml_collections

import protclip_jax.config.build as config_lib
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.aot.expected_row import TEXT_VOCAB_SIZE, packed
from protclip_jax.attention.backend import Target
from protclip_jax.distributed import sharding
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
from protclip_jax.training.initial_state import abstract_state
from protclip_jax.training.run_gradients import make_run_gradients
from protclip_jax.training.train_step import make_train_step


class Plan(NamedTuple):
    """A training step for a set of devices."""

    candidates: Mapping[str, Callable[[], jax.stages.Traced]]
    """The step with each remat policy that the config allows; traced on the first call."""
    arguments: tuple
    """Abstract state and batch."""
    mesh: jax.sharding.Mesh
    network: ProtCLIPConfig
    text_trained: bool

    @property
    def argument_bytes(self) -> int:
        """Bytes of the state and batch on each device."""
        shapes = jax.tree.leaves(self.arguments)
        return sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in shapes)

    @property
    def attention(self) -> str:
        """The backend of the towers' attention."""
        return (self.network.protein or self.network.text).attention


def plan_step(config: ml_collections.ConfigDict, devices: Sequence[jax.Device]) -> Plan:
    """Plans the training step of a config for the given devices, which may be abstract.

    Raises:
      UserError: the config does not fit the number of devices, or requests an attention backend
        that they cannot run.
    """
    mesh = sharding.make_mesh(config.mesh.data, config.mesh.fsdp, devices=devices)
    target = Target.of(devices[0])
    config_lib.check_attention(config, target)
    vocabulary = config.tokenizer.text
    size = TEXT_VOCAB_SIZE if vocabulary is None else len(TextTokenizer.load(vocabulary).vocabulary)
    network = config_lib.model_config(config, text_vocab_size=size, target=target)
    objective = config_lib.objective_config(config)
    # The number of steps only enters the schedule as a constant.
    model = ProtCLIPModel(network)
    state, optimizer = abstract_state(model, config, mesh, total_steps=config.total_steps or 1)
    batch = _abstract_batch(config, mesh)

    @functools.cache
    def traced(policy):
        model = ProtCLIPModel(network.with_remat(policy))
        gradients = make_run_gradients(model, state, config, objective)
        with jax.set_mesh(mesh):
            step = make_train_step(gradients, optimizer, state, config.ema.decay)
            return step.trace(state, batch)

    policies = config_lib.remat_policies(config)
    candidates = {policy: functools.partial(traced, policy) for policy in policies}
    return Plan(candidates, (state, batch), mesh, network, state.trains_text)


def _abstract_batch(config: ml_collections.ConfigDict, mesh: jax.sharding.Mesh):
    """Abstract batch with its rows divided over all devices."""
    rows, by_rows = config.batch.rows, sharding.rows_sharding(mesh)
    sharding.local_rows(mesh, rows)

    def whole(x):
        return jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype, sharding=by_rows)

    return jax.tree.map(whole, packed([[]], config))
