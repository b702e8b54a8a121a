"""Maps the heads between the released checkpoint's names and our parameter groups."""

import math
import re
from collections.abc import Mapping

import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from data_pipelines.common.errors import UserError
from protclip_jax.convert.mapping import Table, fill, linear, norm, unfill
from protclip_jax.convert.tensors import Tensors
from protclip_jax.models.logit_scale import BOUNDED, MAX_SCALE, SIGMOID_GROUPS


def _token_head(path: str, module: str) -> Table:
    return {
        **linear(f"{path}/input", f"{module}.0"),
        **norm(f"{path}/norm", f"{module}.2"),
        **linear(f"{path}/output", f"{module}.3"),
    }


HEAD_TENSORS: Table = {
    **linear("protein_projection/input", "protein_projection.0"),
    **linear("protein_projection/output", "protein_projection.2"),
    **linear("text_projection/input", "text_projection.0"),
    **linear("text_projection/output", "text_projection.2"),
    **_token_head("mlm_head", "mlm_head"),
    **_token_head("bsr_head", "t2p_mlm_head"),
    **linear("cross_attention/query", "decoder.query"),
    **linear("cross_attention/key", "decoder.key"),
    **linear("cross_attention/value", "decoder.value"),
    "prototype_bank/prototypes": ("proto_bank.prototype.weight",),
    "logit_scale/log": ("logit_scale",),
    "segment_logit_scale/log": ("local_logit_scale",),
}
HEAD_GROUPS = frozenset(path.partition("/")[0] for path in HEAD_TENSORS)
_SIGMOID_TENSORS: Table = {
    "sigmoid_scale/log": ("sigmoid_logit_scale",),
    "sigmoid_bias/bias": ("sigmoid_logit_bias",),
}
"""Of a model with the sigmoid contrast, which the released model has not."""
_TENSORS = {**HEAD_TENSORS, **_SIGMOID_TENSORS}
HEADS_UNUSED = re.compile(r"(local_cross_attention|predictor)\..*")
"""Modules that the released model never computes with."""

_PAIR = "local_logit_scale"
"""Stored twice; the released model reads the first only."""


def head_groups(tensors: Tensors) -> frozenset[str]:
    """`HEAD_GROUPS`, and the sigmoid contrast's groups if the tensors include them."""
    of_sigmoid = [name for names in _SIGMOID_TENSORS.values() for name in names if name in tensors]
    return HEAD_GROUPS | SIGMOID_GROUPS if of_sigmoid else HEAD_GROUPS


def head_params(tensors: Tensors, abstract: Mapping) -> dict:
    """The groups of heads (float32) in the shapes of `abstract`, a tree of these groups.

    A scale above 100 is read as 100.

    Raises:
      UserError: a tensor is missing, left over, or of another shape than the config asks for.
    """
    shapes = {path: leaf.shape for path, leaf in flatten_dict(dict(abstract), sep="/").items()}
    if _PAIR in tensors:
        if tensors[_PAIR].shape != (2,):
            raise UserError(
                f"Tensor {_PAIR} has the shape {list(tensors[_PAIR].shape)}, not [2]; give a "
                "ProtCLIP checkpoint."
            )
        tensors = {**tensors, _PAIR: tensors[_PAIR][0, ...]}
    params = flatten_dict(fill(shapes, tensors, _TENSORS, unused=HEADS_UNUSED), sep="/")
    for path in set(BOUNDED) & params.keys():
        # Training would bring a larger scale back to the bound.
        bounded = np.minimum(params[path], np.float32(math.log(MAX_SCALE)))
        params[path] = np.asarray(bounded)
    return unflatten_dict(params, sep="/")


def head_tensors(params: Mapping) -> dict[str, np.ndarray]:
    """The tensors of those heads that a parameter tree (NumPy arrays) has, in the released layout.

    Those of the sigmoid contrast have names of our own.
    """
    groups = HEAD_GROUPS | SIGMOID_GROUPS
    tensors = unfill({group: params[group] for group in params if group in groups}, _TENSORS)
    if _PAIR in tensors:
        tensors[_PAIR] = np.repeat(tensors[_PAIR], 2)
    return tensors


def head_dims(tensors: Tensors) -> dict[str, int]:
    """`projection_dim` and `num_prototypes` from the prototypes' shape.

    Raises:
      UserError: they are missing or no matrix.
    """
    (name,) = HEAD_TENSORS["prototype_bank/prototypes"]
    if name not in tensors or tensors[name].ndim != 2 or 0 in tensors[name].shape:
        raise UserError(
            f"The heads lack the matrix {name}; give heads.safetensors of an exported or released "
            "ProtCLIP."
        )
    num_prototypes, projection_dim = tensors[name].shape
    return {"projection_dim": projection_dim, "num_prototypes": num_prototypes}
