"""Random initial parameters of a model, and their shapes."""

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
    """Key of a seed's lower 32 bits, which are all JAX reads unless JAX_ENABLE_X64 is set."""
    return jax.random.key(seed & 0xFFFFFFFF)


def init_params(model: ProtCLIPModel, key: jax.Array) -> dict:
    """Random parameters as a nested tree (float32).

    For a model with a single tower, only that tower's group exists.

    Example:
      >>> import jax
      >>> from protclip_jax.models.bert import BertConfig
      >>> from protclip_jax.models.esm2 import ESM2Config
      >>> from protclip_jax.models.initialize import init_params
      >>> from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
      >>> shape = dict(num_layers=1, hidden_size=8, num_heads=2, intermediate_size=16)
      >>> towers = ESM2Config(**shape), BertConfig(**shape, vocab_size=30)
      >>> model = ProtCLIPModel(ProtCLIPConfig(*towers, projection_dim=8, num_prototypes=4))
      >>> params = init_params(model, jax.random.key(0))
      >>> params["prototype_bank"]["prototypes"].shape
      (4, 8)
    """
    ones = jnp.ones((1, 4), jnp.int32)
    protein, text = model.config.protein, model.config.text
    if text is None:
        variables = model.init(key, ones, ones, ones, 1, method=ProtCLIPModel.encode_protein)
    elif protein is None:
        variables = model.init(key, ones, ones, ones, method=ProtCLIPModel.encode_text)
    else:
        variables = model.init(key, ones, ones, ones)
    params = variables["params"]
    if protein is not None and protein.initial_attention == NEIGHBOURS:
        attention = params["protein"]["layers"]["attention"]
        attention["qkv"] = look_at_neighbours(attention["qkv"], protein)
    return params


def abstract_params(model: ProtCLIPModel) -> dict:
    """Shapes and dtypes of the parameters, without allocating them.

    It ignores the current mesh, whose devices the single row used for tracing would not fill.
    """
    with jax.sharding.use_abstract_mesh(AbstractMesh((), ())):
        return jax.eval_shape(lambda: init_params(model, jax.random.key(0)))


def abstract_groups(model: ProtCLIPModel, groups: Collection[str]) -> dict:
    """Shapes and dtypes of the named parameter groups, as in `init_params`.

    Raises:
      UserError: the model has no group of that name.
    """
    known = abstract_params(model)
    if foreign := set(groups) - known.keys():
        raise UserError(
            f"the checkpoint holds '{min(foreign)}', but its config describes only "
            f"{', '.join(sorted(known))}; use the config that belongs to the checkpoint."
        )
    return {name: known[name] for name in sorted(groups)}


TOWERS = {"protein": ESM2Config, "text": BertConfig}
