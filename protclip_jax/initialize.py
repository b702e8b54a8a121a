"""The first training state: parameters sharded from the start, optionally from other checkpoints, and optimiser state.

One order decides where parameters come from: the run's own checkpoint (restored by the caller), else `init.all`, else
`init.protein` and `init.text` for one tower each, else random.
"""

import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from data_pipelines.errors import UserError
from protclip_jax import checkpoints, sharding
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.optimizer import flatten, make_optimizer, partition, unflatten
from protclip_jax.train_step import TrainState

TOWERS = ("protein", "text")


def init_params(model: ProtCLIPModel, key: jax.Array) -> dict:
    """Random parameters as a nested tree (float32)."""
    ones = jnp.ones((1, 4), jnp.int32)
    return model.init(key, ones, ones, ones)["params"]


def abstract_params(model: ProtCLIPModel) -> dict:
    """Shapes and dtypes of the parameters, nothing allocated."""
    return jax.eval_shape(lambda: init_params(model, jax.random.key(0)))


def sharded_params(model: ProtCLIPModel, mesh: Mesh, rules, seed: int) -> dict[str, jax.Array]:
    """Random flattened parameters, each created on the devices that will hold it."""
    shapes = {path: leaf.shape for path, leaf in flatten(abstract_params(model)).items()}
    shardings = sharding.param_shardings(shapes, mesh, rules)
    return jax.jit(lambda key: flatten(init_params(model, key)), out_shardings=shardings)(jax.random.key(seed))


def replace_from_checkpoints(params: Mapping[str, jax.Array], init: Mapping[str, str | None]) -> dict[str, jax.Array]:
    """Flattened `params` with `init.all`, or the towers of `init.protein` and `init.text`, read from checkpoint folders."""
    if init["all"] and (init["protein"] or init["text"]):
        raise UserError("init.all already names every parameter; leave init.protein and init.text unset.")
    replaced = dict(params)
    for name in ("all", *TOWERS):
        if init[name]:
            wanted = {path: leaf for path, leaf in params.items() if name == "all" or path.startswith(f"{name}/")}
            abstract = {path: jax.ShapeDtypeStruct(p.shape, p.dtype, sharding=p.sharding) for path, p in wanted.items()}
            folder = pathlib.Path(init[name])
            replaced |= flatten(checkpoints.load_params(folder, checkpoints.resolve_step(folder), unflatten(abstract)))
    return replaced


def initial_state(model: ProtCLIPModel, config, mesh: Mesh) -> tuple[TrainState, optax.GradientTransformation]:
    """The state before the first step and its optimiser, sharded by the config's rules."""
    params = sharded_params(model, mesh, config.mesh.rules, config.seed)
    trainable, frozen = partition(replace_from_checkpoints(params, config.init), config.optimizer.groups)
    optimizer = make_optimizer(config.optimizer, trainable, config.total_steps)
    step = jax.device_put(jnp.int32(0), sharding.replicated(mesh))
    return TrainState(step, trainable, frozen, init_optimizer(optimizer, trainable, mesh)), optimizer


def restored_state(
    saved: checkpoints.Checkpoints, step: int, state: TrainState, stream_state: np.ndarray, streams: int
) -> tuple[TrainState, dict[int, np.ndarray]]:
    """The state and every stream's state of a checkpoint, in the shapes and shardings of a fresh `state`."""

    def abstract(tree):
        return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree)

    params, optimizer, table = saved.restore(
        step,
        params=abstract(state.params),
        optimizer=abstract(state.optimizer),
        data=np.zeros((streams, *stream_state.shape), stream_state.dtype),
    )
    flat = flatten(params)
    trainable, frozen = ({path: flat[path] for path in half} for half in (state.trainable, state.frozen))
    counter = jax.device_put(jnp.int32(step), state.step.sharding)
    return TrainState(counter, trainable, frozen, optimizer), dict(enumerate(table))


def init_optimizer(optimizer: optax.GradientTransformation, trainable: dict[str, jax.Array], mesh: Mesh) -> optax.OptState:
    """Optimiser state where every moment lies as its parameter does."""
    everywhere = sharding.replicated(mesh)

    def of_parameter(path, leaf):
        # A moment's path ends in the dictionary key of its parameter.
        key = getattr(path[-1], "key", None) if path else None
        return trainable[key].sharding if key in trainable and trainable[key].shape == leaf.shape else everywhere

    shardings = jax.tree.map_with_path(of_parameter, jax.eval_shape(optimizer.init, trainable))
    return jax.jit(optimizer.init, out_shardings=shardings)(trainable)
