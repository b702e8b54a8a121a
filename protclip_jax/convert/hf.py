"""Hugging Face ESM-2 and BERT tensors → parameters of our encoders.

The tables below name, for every parameter, the tensors it is made of: a kernel is a Linear weight [out, in]
transposed, several sources are joined along the last axis, and a layer's parameter is stacked over the layers.
Every parameter must be filled and every tensor used, or be on the list of those our encoders have no use for.
"""

import functools
import re
from collections.abc import Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict, unflatten_dict

from data_pipelines.errors import UserError
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.esm2 import ESM2, ESM2Config, initial_inv_freq

Tensors = Mapping[str, np.ndarray]

ESM2_TENSORS = {
    "token_embedding/embedding": ("embeddings.word_embeddings.weight",),
    "final_norm/scale": ("encoder.emb_layer_norm_after.weight",),
    "final_norm/bias": ("encoder.emb_layer_norm_after.bias",),
    "rotary_inv_freq": ("rotary_embeddings.inv_freq",),
}
BERT_TENSORS = {
    "token_embedding/embedding": ("embeddings.word_embeddings.weight",),
    "position_embedding/embedding": ("embeddings.position_embeddings.weight",),
    "token_type_embedding/embedding": ("embeddings.token_type_embeddings.weight",),
    "embedding_norm/scale": ("embeddings.LayerNorm.weight",),
    "embedding_norm/bias": ("embeddings.LayerNorm.bias",),
}
_MODULES = {
    "attention/qkv": ("attention.self.query", "attention.self.key", "attention.self.value"),
    "attention/output": ("attention.output.dense",),
    "feed_forward/input": ("intermediate.dense",),
    "feed_forward/output": ("output.dense",),
}
_NORMS = {
    "esm2": {"attention_norm": "attention.LayerNorm", "feed_forward_norm": "LayerNorm"},
    "bert": {"attention_norm": "attention.output.LayerNorm", "feed_forward_norm": "output.LayerNorm"},
}

ESM2_UNUSED = re.compile(r"embeddings\.position_(embeddings\.weight|ids)|(pooler|contact_head|lm_head)\..*")
"""Rotary models never read their position table; the heads are not part of the encoder."""

BERT_UNUSED = re.compile(r"embeddings\.(position|token_type)_ids|(pooler|cls)\..*")

_LAYER_INV_FREQ = re.compile(r"encoder\.layer\.\d+\.attention\.self\.rotary_embeddings\.inv_freq")


def layer_tensors(family: str) -> dict[str, tuple[str, ...]]:
    """Parameter of `layers/` → its tensors' names within `encoder.layer.<i>.`, for 'esm2' or 'bert'."""
    names = {}
    for target, sources in _MODULES.items():
        names[f"{target}/kernel"] = tuple(f"{source}.weight" for source in sources)
        names[f"{target}/bias"] = tuple(f"{source}.bias" for source in sources)
    for target, source in _NORMS[family].items():
        names[f"{target}/scale"] = (f"{source}.weight",)
        names[f"{target}/bias"] = (f"{source}.bias",)
    return names


def esm2_params(tensors: Tensors, config: ESM2Config) -> dict:
    """Parameters of `ESM2(config)` (float32) from an `EsmModel` state dict, also one under an `esm.` prefix.

    Rotary inverse frequencies are taken as stored (once, or equal in every layer) and computed where there are none.

    Raises:
      UserError: a tensor is missing, left over, or of another shape than the config asks for.
    """
    tensors = dict(_without_prefix(tensors, "esm."))
    if "rotary_embeddings.inv_freq" not in tensors:
        tensors["rotary_embeddings.inv_freq"] = _take_inv_freq(tensors, config)
    shapes = _param_shapes(ESM2(config), num_segments=1)
    return _fill(shapes, tensors, ESM2_TENSORS, layer_tensors("esm2"), ESM2_UNUSED)


def bert_params(tensors: Tensors, config: BertConfig) -> dict:
    """Parameters of `Bert(config)` (float32) from a `BertModel` state dict, also one under a `bert.` prefix.

    Raises:
      UserError: a tensor is missing, left over, or of another shape than the config asks for.
    """
    # Old checkpoints call the layer norms' parameters gamma and beta.
    modern = {re.sub(r"gamma$", "weight", re.sub(r"beta$", "bias", name)): tensor for name, tensor in tensors.items()}
    return _fill(
        _param_shapes(Bert(config)), _without_prefix(modern, "bert."), BERT_TENSORS, layer_tensors("bert"), BERT_UNUSED
    )


def _without_prefix(tensors: Tensors, prefix: str) -> Tensors:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}


def _take_inv_freq(tensors: dict[str, np.ndarray], config: ESM2Config) -> np.ndarray:
    """Removes the per-layer inverse frequencies of `tensors` and returns the one array they all are."""
    stored = {name: tensors.pop(name) for name in list(tensors) if _LAYER_INV_FREQ.fullmatch(name)}
    if not stored:
        return np.asarray(initial_inv_freq(config.head_dim))
    first_name, first = next(iter(stored.items()))
    for name, tensor in stored.items():
        if not np.array_equal(tensor, first):
            raise UserError(f"Tensors {first_name} and {name} differ, but all layers must share one; repair the checkpoint.")
    return first


def _param_shapes(model: nn.Module, **options) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by its path, without computing anything."""
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    variables = jax.eval_shape(functools.partial(model.init, **options), jax.random.key(0), tokens, tokens, tokens)
    return {path: leaf.shape for path, leaf in flatten_dict(variables["params"], sep="/").items()}


def _fill(
    shapes: dict[str, tuple[int, ...]],
    tensors: Tensors,
    names: Mapping[str, tuple[str, ...]],
    layer_names: Mapping[str, tuple[str, ...]],
    unused: re.Pattern,
) -> dict:
    left = {name for name in tensors if not unused.fullmatch(name)}

    def part(path: str, name: str) -> np.ndarray:
        if name not in tensors:
            raise UserError(f"The checkpoint has no tensor {name}, needed for {path}; give the complete encoder.")
        left.discard(name)
        tensor = np.asarray(tensors[name], np.float32)
        return tensor.T if path.endswith("/kernel") else tensor

    def joined(path: str, sources: list[str], shape: tuple[int, ...]) -> np.ndarray:
        parts = [part(path, name) for name in sources]
        expected = (*shape[:-1], shape[-1] // len(parts))
        for name, tensor in zip(sources, parts, strict=True):
            if tensor.shape != expected:
                raise UserError(
                    f"Tensor {name} gives {path} the shape {list(tensor.shape)}, but the config asks for {list(expected)}; "
                    "use the config that belongs to the checkpoint."
                )
        return np.concatenate(parts, axis=-1)

    params = {}
    for path, shape in shapes.items():
        if path.startswith("layers/"):
            sources = layer_names[path.removeprefix("layers/")]
            layers = [joined(path, [f"encoder.layer.{i}.{name}" for name in sources], shape[1:]) for i in range(shape[0])]
            params[path] = np.stack(layers)
        else:
            params[path] = joined(path, list(names[path]), shape)
    if left:
        raise UserError(
            f"The checkpoint has {len(left)} tensors that the config has no place for, such as {min(left)}; "
            "use the config that belongs to it."
        )
    return unflatten_dict(params, sep="/")
