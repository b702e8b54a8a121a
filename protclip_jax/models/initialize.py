"""Parameters of a model: random ones, and their shapes."""

import functools
from collections.abc import Collection

import jax
import jax.numpy as jnp

from data_pipelines.common.errors import UserError
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.protclip import ProtCLIPModel


def init_params(model: ProtCLIPModel, key: jax.Array) -> dict:
    """Random parameters as a nested tree (float32)."""
    ones = jnp.ones((1, 4), jnp.int32)
    return model.init(key, ones, ones, ones)["params"]


def abstract_params(model: ProtCLIPModel) -> dict:
    """Shapes and dtypes of the parameters, nothing allocated."""
    return jax.eval_shape(lambda: init_params(model, jax.random.key(0)))


def abstract_groups(model: ProtCLIPModel, groups: Collection[str]) -> dict:
    """Shapes and dtypes of some parameter groups; of a model with one tower, that tower's.

    Raises:
      UserError: the model has no group of such a name.
    """
    alone = [name for name in TOWERS if getattr(model.config, name) is not None]
    if len(alone) == len(TOWERS):
        known = abstract_params(model)
    else:
        ones = jnp.ones((1, 4), jnp.int32)
        arguments = {"protein": (ones, ones, ones, 1), "text": (ones, ones, ones)}[alone[0]]
        tower = functools.partial(model.init, method=f"encode_{alone[0]}")
        known = jax.eval_shape(lambda: tower(jax.random.key(0), *arguments)["params"])
    if foreign := set(groups) - known.keys():
        raise UserError(f"the checkpoint holds '{min(foreign)}', but its config describes only {', '.join(sorted(known))}.")
    return {name: known[name] for name in sorted(groups)}


TOWERS = {"protein": ESM2Config, "text": BertConfig}
