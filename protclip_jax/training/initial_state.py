"""The initial training state: sharded parameters, optionally from checkpoints, and optimiser.

Parameters come from the first source that applies: the run's own checkpoint (restored by the
caller), `init.all`, `init.protein` and `init.text` for one tower each, random initialisation.
"""

import dataclasses
import pathlib
import shlex
from collections.abc import Mapping, Set
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from data_pipelines.common.bucket import is_bucket
from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.local_copy import local_checkpoint
from protclip_jax.checkpoints.manager import CheckpointManager
from protclip_jax.checkpoints.parameters import load_params, stored_groups
from protclip_jax.distributed import sharding
from protclip_jax.models.initialize import TOWERS, abstract_params, init_params, seed_key
from protclip_jax.models.logit_scale import SIGMOID_GROUPS, bound_scales
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.training.lora import abstract_adapters, freeze_kernels, new_adapters
from protclip_jax.training.optimizer import flatten, make_optimizer, partition, unflatten
from protclip_jax.training.train_state import TrainState

INITS = ("all", *TOWERS)
"""The fields of `config.init`."""

_HEADS = {"projection_dim": None, "num_prototypes": None}
"""Shape fields of the heads."""


def abstract_state(
    model: ProtCLIPModel, config, mesh: Mesh, *, total_steps: int
) -> tuple[TrainState, optax.GradientTransformation]:
    """Shapes, dtypes and shardings of the initial state, and its optimiser; allocates nothing.

    The learning rate follows the schedule of `total_steps`.
    """
    shapes = flatten(abstract_params(model))
    shapes |= abstract_adapters(shapes, config)
    shardings = sharding.param_shardings(
        {path: leaf.shape for path, leaf in shapes.items()}, mesh, config.mesh.rules
    )
    params = {
        path: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings[path])
        for path, x in shapes.items()
    }
    trainable, frozen = freeze_kernels(*partition(params, config.optimizer.groups))
    optimizer = make_optimizer(config.optimizer, trainable, total_steps)
    step = jax.ShapeDtypeStruct((), jnp.int32, sharding=sharding.replicated(mesh))
    averaged = trainable if config.ema.decay else None
    return TrainState(
        step, trainable, frozen, abstract_optimizer(optimizer, trainable, mesh), averaged
    ), optimizer


def sharded_params(model: ProtCLIPModel, mesh: Mesh, rules, seed: int) -> dict[str, jax.Array]:
    """Random flattened parameters, each created on the devices that store it."""
    shapes = {path: leaf.shape for path, leaf in flatten(abstract_params(model)).items()}
    shardings = sharding.param_shardings(shapes, mesh, rules)
    return jax.jit(lambda key: flatten(init_params(model, key)), out_shardings=shardings)(
        seed_key(seed)
    )


def replace_from_checkpoints(
    params: Mapping[str, jax.Array], config: Mapping
) -> dict[str, jax.Array]:
    """Replaces parameters with those of the checkpoints in `init.all`, or `init.protein`/`.text`.

    The sigmoid contrast's scale and bias keep their values if the checkpoint has none.

    Raises:
      UserError: the weights in a folder do not fit the config, or required ones are missing.
    """
    init = config["init"]
    replaced = dict(params)
    for name in INITS:
        if init[name]:
            folder = local_checkpoint(init[name])
            check_fit(folder, name, config)
            step = best.resolve_step(folder)
            stored = stored_groups(folder, step)
            wanted = _read_from(
                {path.partition("/")[0] for path in params}, name, stored, folder=init[name]
            )
            of_folder = {
                path: leaf for path, leaf in params.items() if path.partition("/")[0] in wanted
            }
            abstract = {
                path: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=p.sharding)
                for path, p in of_folder.items()
            }
            replaced |= flatten(load_params(folder, step, unflatten(abstract)))
    return replaced


def _read_from(groups: Set[str], name: str, stored: Set[str], *, folder: str) -> Set[str]:
    """The parameter groups that `init.<name>` reads, out of those `stored` in `folder`."""
    wanted = groups - (SIGMOID_GROUPS - stored) if name == "all" else groups & {name}
    if absent := wanted - stored:
        raise UserError(
            f"init.{name}={folder} has no {', '.join(sorted(absent))}, only "
            f"{', '.join(sorted(stored))}; name this folder in init.protein or init.text "
            f"instead, or another one in init.{name}."
        )
    return wanted


def check_init(config: Mapping) -> None:
    """Checks the folders of `config.init` without reading parameters.

    Folders in a bucket are checked when they are copied.

    Raises:
      UserError: the folders contradict each other or do not fit the config; lists every fault.
    """
    init = config["init"]
    if init["all"] and (init["protein"] or init["text"]):
        raise UserError(
            "init.all covers every parameter; unset init.protein and init.text, or init.all."
        )
    faults = []
    for name in INITS:
        if init[name] and not is_bucket(init[name]):
            try:
                check_fit(pathlib.Path(init[name]), name, config)
                best.resolve_step(pathlib.Path(init[name]))
            except UserError as error:
                faults.append(str(error).removesuffix("."))
    if faults:
        raise UserError(f"{'; '.join(faults)}.")


def check_fit(folder: pathlib.Path, name: str, config: Mapping) -> None:
    """Checks that the weights which `init.<name>` reads from a folder fit this config.

    Raises:
      UserError: weights have another shape or another meaning (heads, epsilon, token dropout,
        vocabulary). The message gives the config values that would fit.
    """
    stored = metadata.read_model_config(folder)
    towers = [name] if name in TOWERS else list(TOWERS)
    if absent := [tower for tower in towers if stored["model"][tower] is None]:
        raise UserError(
            f"{folder} has no {absent[0]} tower; name another folder in config.init, or convert "
            "a model that includes the tower."
        )
    fitting = {}
    step = best.resolve_step(folder)
    if name not in TOWERS and "protein_projection" in stored_groups(folder, step):
        fitting |= _other_values("model", _HEADS, stored["model"], config["model"])
    for tower in towers:
        fields = {
            field.name: field.default
            for field in dataclasses.fields(TOWERS[tower])
            if field.name != "initializer_range"
        }
        fitting |= _other_values(
            f"model.{tower}", fields, stored["model"][tower], config["model"][tower]
        )
    if "text" in towers:
        words = metadata.load_text_tokenizer(folder)
        if TextTokenizer.load(config["tokenizer"]["text"]).vocabulary != words.vocabulary:
            fitting["tokenizer.text"] = folder / "tokenizers" / "text"
    if fitting:
        options = " ".join(
            shlex.quote(f"--config.{path}={value}") for path, value in fitting.items()
        )
        raise UserError(
            f"init.{name}={folder} does not fit the config; pass {options}, or start from other "
            "weights."
        )


def _other_values(
    group: str, fields: Mapping, stored: Mapping, config: Mapping
) -> dict[str, object]:
    """Returns the stored values, by path, of the `fields` whose value in the config differs."""
    values = {
        field: (stored.get(field, default), config.get(field, default))
        for field, default in fields.items()
    }
    return {
        f"{group}.{field}": theirs for field, (theirs, ours) in values.items() if theirs != ours
    }


def initial_state(
    model: ProtCLIPModel, config, mesh: Mesh, *, total_steps: int
) -> tuple[TrainState, optax.GradientTransformation]:
    """Creates the state before the first step and its optimiser, sharded by the config's rules."""
    params = sharded_params(model, mesh, config.mesh.rules, config.seed)
    params = bound_scales(replace_from_checkpoints(params, config))
    params |= new_adapters(params, config, mesh)
    trainable, frozen = freeze_kernels(*partition(params, config.optimizer.groups))
    optimizer = make_optimizer(config.optimizer, trainable, total_steps)
    step = jax.device_put(jnp.int32(0), sharding.replicated(mesh))
    # Copies, because the step donates the buffers of the trainable parameters.
    averaged = jax.tree.map(jnp.copy, trainable) if config.ema.decay else None
    return TrainState(
        step, trainable, frozen, init_optimizer(optimizer, trainable, mesh), averaged
    ), optimizer


def restored_state(
    saved: CheckpointManager, step: int, state: TrainState, data: Mapping[str, Any]
) -> tuple[TrainState, Mapping[str, Any]]:
    """Restores state and data of a checkpoint, with the shapes and shardings of the given ones."""

    def abstract(tree):
        return jax.tree.map(
            lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree
        )

    published, unpublished = abstract(state.published), abstract(state.unpublished)
    published, unpublished, data = saved.restore(
        step, params=published, optimizer=unpublished, data=data
    )
    counter = jax.device_put(jnp.int32(step), state.step.sharding)
    return state.going_on(counter, published, unpublished), data


def abstract_optimizer(
    optimizer: optax.GradientTransformation, trainable: Mapping[str, Any], mesh: Mesh
) -> optax.OptState:
    """Shapes, dtypes and shardings of the optimiser state; moments are sharded as parameters."""
    everywhere = sharding.replicated(mesh)

    def of_parameter(path, leaf):
        # A moment's path ends in the dictionary key of its parameter.
        key = getattr(path[-1], "key", None) if path else None
        own = key in trainable and trainable[key].shape == leaf.shape
        return jax.ShapeDtypeStruct(
            leaf.shape, leaf.dtype, sharding=trainable[key].sharding if own else everywhere
        )

    return jax.tree.map_with_path(of_parameter, jax.eval_shape(optimizer.init, trainable))


def init_optimizer(
    optimizer: optax.GradientTransformation, trainable: dict[str, jax.Array], mesh: Mesh
) -> optax.OptState:
    """The optimiser's initial state, sharded as in `abstract_optimizer`."""
    shardings = jax.tree.map(
        lambda leaf: leaf.sharding, abstract_optimizer(optimizer, trainable, mesh)
    )
    return jax.jit(optimizer.init, out_shardings=shardings)(trainable)
