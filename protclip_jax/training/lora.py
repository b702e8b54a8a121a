"""Low-rank adapters (LoRA, Hu et al. 2021): kernels W + (alpha / rank)·A·B with learnt A and B.

The adapters of `protein/layers/…/kernel` are the parameters `lora/protein/layers/…/kernel/a`
[layers, in, rank] and `…/b` [layers, rank, out]. Only the training code uses them: the network
receives merged kernels, whose gradients are propagated back to the adapters.
"""

import math
import re
from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from ml_collections import ConfigDict

from data_pipelines.common.errors import UserError
from protclip_jax.distributed.sharding import STACK, param_shardings
from protclip_jax.models.initialize import seed_key
from protclip_jax.training.gradients import LossAndGradients, Parameters

PREFIX = "lora/"
SCALE = "lora/scale"
"""Path of alpha / rank, which is not trained."""


def abstract_adapters(params: Mapping, config: ConfigDict) -> dict[str, jax.ShapeDtypeStruct]:
    """Shapes of the adapters that `config.lora` requests, and of `SCALE`; none at rank 0.

    `params` are all other parameters, flattened; only their paths and shapes are read.

    Raises:
      UserError: a pattern in `lora.targets` matches no kernel in a tower's layers.
    """
    rank = config.lora.rank
    if not rank:
        return {}
    shapes = {SCALE: ()}
    kernels = [path for path in params if STACK in path and path.endswith("/kernel")]
    for pattern in config.lora.targets:
        matched = [path for path in kernels if re.search(pattern, path)]
        if not matched:
            raise UserError(
                f"lora.targets: '{pattern}' matches no kernel in the layers; use a pattern such as "
                "'attention/qkv'."
            )
        for path in matched:
            layers, width_in, width_out = params[path].shape
            shapes[f"{PREFIX}{path}/a"] = (layers, width_in, rank)
            shapes[f"{PREFIX}{path}/b"] = (layers, rank, width_out)
    return {path: jax.ShapeDtypeStruct(shape, jnp.float32) for path, shape in shapes.items()}


def new_adapters(params: Parameters, config: ConfigDict, mesh: Mesh) -> Parameters:
    """Initial adapters, A ~ N(0, 1 / in) and B = 0, which leave kernels as they are.

    They are sharded by `mesh.rules`.
    """
    abstract = abstract_adapters(params, config)
    if not abstract:
        return {}
    shapes = {path: leaf.shape for path, leaf in {**params, **abstract}.items()}
    shardings = param_shardings(shapes, mesh, config.mesh.rules)

    def draw(key):
        made = {path: jnp.zeros(leaf.shape, leaf.dtype) for path, leaf in abstract.items()}
        first_factors = [path for path in abstract if path.endswith("/a")]
        for number, path in enumerate(first_factors):
            noise = jax.random.normal(jax.random.fold_in(key, number), shapes[path], jnp.float32)
            made[path] = noise / math.sqrt(shapes[path][1])
        return {**made, SCALE: jnp.float32(config.lora.alpha / config.lora.rank)}

    placed = jax.jit(draw, out_shardings={path: shardings[path] for path in abstract})
    return placed(seed_key(config.seed))


def freeze_kernels(trainable: Mapping, frozen: Mapping) -> tuple[dict, dict]:
    """Moves kernels with adapters, and `SCALE`, from the trainable to the frozen parameters."""
    fixed = {SCALE, *_adapted({**trainable, **frozen})}
    learnt, moved = {}, {}
    for path, leaf in trainable.items():
        (moved if path in fixed else learnt)[path] = leaf
    return learnt, {**frozen, **moved}


def merge(params: Parameters) -> Parameters:
    """Merges adapters into their kernels; returns the flattened parameters of the network."""
    return {**_of_network(params), **_merged(params)}


def through_adapters(loss_and_gradients: LossAndGradients) -> LossAndGradients:
    """Wraps a function for merged kernels so that it takes adapters and returns their gradients."""

    def of_adapters(trainable: Parameters, frozen: Parameters, batch):
        adapters = {path: leaf for path, leaf in trainable.items() if path.startswith(PREFIX)}
        kernels, carry_back = jax.vjp(lambda learnt: _merged({**frozen, **learnt}), adapters)
        fixed = {path: leaf for path, leaf in _of_network(frozen).items() if path not in kernels}
        whole = {**_of_network(trainable), **kernels}
        total, losses, gradients = loss_and_gradients(whole, fixed, batch)
        (carried,) = carry_back({path: gradients.pop(path) for path in kernels})
        return total, losses, {**gradients, **carried}

    return of_adapters


def _adapted(params: Mapping) -> list[str]:
    """Paths of the kernels that have adapters."""
    ends = [path for path in params if path.startswith(PREFIX) and path.endswith("/a")]
    return [path.removeprefix(PREFIX).removesuffix("/a") for path in ends]


def _merged(params: Parameters) -> Parameters:
    kernels = {}
    for path in _adapted(params):
        a, b = params[f"{PREFIX}{path}/a"], params[f"{PREFIX}{path}/b"]
        kernels[path] = params[path] + params[SCALE] * jnp.matmul(a, b, precision="highest")
    return kernels


def _of_network(params: Mapping) -> dict:
    return {path: leaf for path, leaf in params.items() if not path.startswith(PREFIX)}
