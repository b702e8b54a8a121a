"""The first training state: parameters sharded from the start, optionally from other checkpoints, and optimiser state.

One order decides where parameters come from: the run's own checkpoint (restored by the caller), else `init.all`, else
`init.protein` and `init.text` for one tower each, else random.
"""

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.bucket import is_bucket
from protclip_jax.checkpoints.local_copy import local_checkpoint
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.parameters import load_params, stored_groups
from protclip_jax.distributed import sharding
from protclip_jax.models.initialize import TOWERS, abstract_params, init_params
from protclip_jax.models.logit_scale import SIGMOID_GROUPS, bound_scales
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.training.lora import abstract_adapters, freeze_kernels, new_adapters
from protclip_jax.training.optimizer import flatten, make_optimizer, partition, unflatten
from protclip_jax.training.train_state import TrainState

INITS = ("all", *TOWERS)
"""The fields of `config.init`."""


def abstract_state(
    model: ProtCLIPModel, config, mesh: Mesh, *, total_steps: int
) -> tuple[TrainState, optax.GradientTransformation]:
    """Shapes, dtypes and shardings of the state before the first step, and its optimiser; nothing allocated.

    The learning rate follows the schedule of `total_steps`.
    """
    shapes = flatten(abstract_params(model))
    shapes |= abstract_adapters(shapes, config)
    shardings = sharding.param_shardings({path: leaf.shape for path, leaf in shapes.items()}, mesh, config.mesh.rules)
    params = {path: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings[path]) for path, x in shapes.items()}
    trainable, frozen = freeze_kernels(*partition(params, config.optimizer.groups))
    optimizer = make_optimizer(config.optimizer, trainable, total_steps)
    step = jax.ShapeDtypeStruct((), jnp.int32, sharding=sharding.replicated(mesh))
    averaged = trainable if config.ema.decay else None
    return TrainState(step, trainable, frozen, abstract_optimizer(optimizer, trainable, mesh), averaged), optimizer


def sharded_params(model: ProtCLIPModel, mesh: Mesh, rules, seed: int) -> dict[str, jax.Array]:
    """Random flattened parameters, each created on the devices that will hold it."""
    shapes = {path: leaf.shape for path, leaf in flatten(abstract_params(model)).items()}
    shardings = sharding.param_shardings(shapes, mesh, rules)
    return jax.jit(lambda key: flatten(init_params(model, key)), out_shardings=shardings)(jax.random.key(seed))


def replace_from_checkpoints(params: Mapping[str, jax.Array], config: Mapping) -> dict[str, jax.Array]:
    """Flattened `params` with `init.all`, or the towers of `init.protein` and `init.text`, read from checkpoint folders.

    The sigmoid contrast's scale and bias stay as given where the checkpoint has none.

    Raises:
      UserError: a folder's tower computes something else than the config's, or reads another text vocabulary.
    """
    init = config["init"]
    replaced = dict(params)
    for name in INITS:
        if init[name]:
            folder = local_checkpoint(init[name])
            _check_towers(folder, name, config)
            step = best.resolve_step(folder)
            absent = SIGMOID_GROUPS - stored_groups(folder, step)
            of_all = {path: leaf for path, leaf in params.items() if path.partition("/")[0] not in absent}
            wanted = {path: leaf for path, leaf in of_all.items() if name == "all" or path.startswith(f"{name}/")}
            abstract = {path: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=p.sharding) for path, p in wanted.items()}
            replaced |= flatten(load_params(folder, step, unflatten(abstract)))
    return replaced


def check_init(config: Mapping) -> None:
    """Checks the folders of `config.init` without reading parameters; those in a bucket are checked when they are copied.

    Raises:
      UserError: they contradict each other, or as `replace_from_checkpoints`.
    """
    init = config["init"]
    if init["all"] and (init["protein"] or init["text"]):
        raise UserError("init.all already names every parameter; leave init.protein and init.text unset.")
    for name in INITS:
        if init[name] and not is_bucket(init[name]):
            _check_towers(pathlib.Path(init[name]), name, config)
            best.resolve_step(pathlib.Path(init[name]))


def _check_towers(folder: pathlib.Path, name: str, config: Mapping) -> None:
    for tower in TOWERS if name == "all" else (name,):
        check_same_tower(folder, tower, config)


def check_same_tower(folder: pathlib.Path, tower: str, config: Mapping) -> None:
    """Raises `UserError` where weights of the right shapes would mean something else: heads, epsilon, token dropout, words."""
    stored = metadata.read_model_config(folder)["model"][tower]
    if stored is None:
        raise UserError(f"{folder} holds no {tower} tower; name another folder in config.init, or convert one with it.")
    kind = TOWERS[tower]
    for field in dataclasses.fields(kind):
        default = None if field.default is dataclasses.MISSING else field.default
        theirs, ours = (fields.get(field.name, default) for fields in (stored, config["model"][tower]))
        if field.name != "initializer_range" and theirs != ours:
            raise UserError(
                f"{folder} has a {tower} tower of {field.name}={theirs}, the config one of {ours}; "
                f"set config.model.{tower}.{field.name}={theirs}, or start from other weights."
            )
    if tower == "text":
        words = metadata.load_text_tokenizer(folder)
        if TextTokenizer.load(config["tokenizer"]["text"]).vocabulary != words.vocabulary:
            raise UserError(
                f"{folder} was made with another text vocabulary than tokenizer.text={config['tokenizer']['text']}; "
                f"set tokenizer.text={folder / 'tokenizers' / 'text'}."
            )


def initial_state(
    model: ProtCLIPModel, config, mesh: Mesh, *, total_steps: int
) -> tuple[TrainState, optax.GradientTransformation]:
    """The state before the first step and its optimiser, sharded by the config's rules."""
    params = sharded_params(model, mesh, config.mesh.rules, config.seed)
    params = bound_scales(replace_from_checkpoints(params, config))
    params |= new_adapters(params, config, mesh)
    trainable, frozen = freeze_kernels(*partition(params, config.optimizer.groups))
    optimizer = make_optimizer(config.optimizer, trainable, total_steps)
    step = jax.device_put(jnp.int32(0), sharding.replicated(mesh))
    # Copies, as the step gives the buffers of each back for its results.
    averaged = jax.tree.map(jnp.copy, trainable) if config.ema.decay else None
    return TrainState(step, trainable, frozen, init_optimizer(optimizer, trainable, mesh), averaged), optimizer


def restored_state(
    saved: CheckpointManager, step: int, state: TrainState, data: Mapping[str, Any]
) -> tuple[TrainState, Mapping[str, Any]]:
    """The state and the data of a checkpoint, in the shapes and shardings of a fresh `state` and of `data`."""

    def abstract(tree):
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)

    published, unpublished = abstract(state.published), abstract(state.unpublished)
    published, unpublished, data = saved.restore(step, params=published, optimizer=unpublished, data=data)
    counter = jax.device_put(jnp.int32(step), state.step.sharding)
    return state.going_on(counter, published, unpublished), data


def abstract_optimizer(optimizer: optax.GradientTransformation, trainable: Mapping[str, Any], mesh: Mesh) -> optax.OptState:
    """Shapes, dtypes and shardings of the optimiser's state, where every moment lies as its parameter does."""
    everywhere = sharding.replicated(mesh)

    def of_parameter(path, leaf):
        # A moment's path ends in the dictionary key of its parameter.
        key = getattr(path[-1], "key", None) if path else None
        own = key in trainable and trainable[key].shape == leaf.shape
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=trainable[key].sharding if own else everywhere)

    return jax.tree.map_with_path(of_parameter, jax.eval_shape(optimizer.init, trainable))


def init_optimizer(optimizer: optax.GradientTransformation, trainable: dict[str, jax.Array], mesh: Mesh) -> optax.OptState:
    """The optimiser's state before the first step, sharded as `abstract_optimizer` says."""
    shardings = jax.tree.map(lambda leaf: leaf.sharding, abstract_optimizer(optimizer, trainable, mesh))
    return jax.jit(optimizer.init, out_shardings=shardings)(trainable)
