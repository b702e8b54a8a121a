"""Parameters of a model: random ones, and their shapes."""

from collections.abc import Collection

import jax
import jax.numpy as jnp
from jax.sharding import AbstractMesh

from data_pipelines.common.errors import UserError
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import NEIGHBOURS, ESM2Config
from protclip_jax.models.neighbour_attention import look_at_neighbours
from protclip_jax.models.protclip import ProtCLIPModel


def seed_key(seed: int) -> jax.Array:
    """The key of a seed: of its lower 32 bits, which alone JAX reads unless JAX_ENABLE_X64 is
    set."""
    return jax.random.key(seed & 0xFFFFFFFF)


def init_params(model: ProtCLIPModel, key: jax.Array) -> dict:
    """Random parameters as a nested tree (float32)."""
    ones = jnp.ones((1, 4), jnp.int32)
    params = model.init(key, ones, ones, ones)["params"]
    protein = model.config.protein
    if protein is not None and protein.initial_attention == NEIGHBOURS:
        attention = params["protein"]["layers"]["attention"]
        attention["qkv"] = look_at_neighbours(attention["qkv"], protein)
    return params


def abstract_params(model: ProtCLIPModel) -> dict:
    """Shapes and dtypes of the parameters, nothing allocated; also under a mesh, whose devices
    one row does not fill."""
    with jax.sharding.use_abstract_mesh(AbstractMesh((), ())):
        return jax.eval_shape(lambda: init_params(model, jax.random.key(0)))


def abstract_groups(model: ProtCLIPModel, groups: Collection[str]) -> dict:
    """Shapes and dtypes of some parameter groups; of a model with one tower, that tower's.

    Raises:
      UserError: the model has no group of such a name.
    """
    key, ones = jax.random.key(0), jnp.ones((1, 4), jnp.int32)
    if model.config.text is None:
        known = jax.eval_shape(
            lambda: model.init(key, ones, ones, ones, 1, method=ProtCLIPModel.encode_protein)[
                "params"
            ]
        )
    elif model.config.protein is None:
        known = jax.eval_shape(
            lambda: model.init(key, ones, ones, ones, method=ProtCLIPModel.encode_text)["params"]
        )
    else:
        known = abstract_params(model)
    if foreign := set(groups) - known.keys():
        raise UserError(
            f"the checkpoint holds '{min(foreign)}', but its config describes only "
            f"{', '.join(sorted(known))}."
        )
    return {name: known[name] for name in sorted(groups)}


TOWERS = {"protein": ESM2Config, "text": BertConfig}
