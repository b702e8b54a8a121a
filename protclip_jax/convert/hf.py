"""Hugging Face ESM-2 and BERT tensors ↔ parameters of our encoders."""

import dataclasses
import functools
import re
from collections.abc import Callable, Iterable, Mapping

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from flax.traverse_util import flatten_dict

from data_pipelines.common.errors import UserError
from protclip_jax.convert.mapping import Table, fill, linear, norm, unfill
from protclip_jax.convert.tensors import Tensors
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.esm2 import ESM2, ESM2Config, initial_inv_freq
from protclip_jax.models.layers import EncoderConfig

_LAYER = "encoder.layer.{layer}"
_INV_FREQ = "rotary_embeddings.inv_freq"


def _layers(*, attention_norm: str, feed_forward_norm: str) -> Table:
    """What a layer of both encoders has; the tensors of its norms have the given names."""
    return {
        **linear(
            "layers/attention/qkv",
            *(f"{_LAYER}.attention.self.{part}" for part in ("query", "key", "value")),
        ),
        **linear("layers/attention/output", f"{_LAYER}.attention.output.dense"),
        **norm("layers/attention_norm", f"{_LAYER}.{attention_norm}"),
        **linear("layers/feed_forward/input", f"{_LAYER}.intermediate.dense"),
        **linear("layers/feed_forward/output", f"{_LAYER}.output.dense"),
        **norm("layers/feed_forward_norm", f"{_LAYER}.{feed_forward_norm}"),
    }


ESM2_TENSORS: Table = {
    "token_embedding/embedding": ("embeddings.word_embeddings.weight",),
    "rotary_inv_freq": (_INV_FREQ,),
    **_layers(attention_norm="attention.LayerNorm", feed_forward_norm="LayerNorm"),
    **norm("final_norm", "encoder.emb_layer_norm_after"),
}
BERT_TENSORS: Table = {
    "token_embedding/embedding": ("embeddings.word_embeddings.weight",),
    "position_embedding/embedding": ("embeddings.position_embeddings.weight",),
    "token_type_embedding/embedding": ("embeddings.token_type_embeddings.weight",),
    **norm("embedding_norm", "embeddings.LayerNorm"),
    **_layers(attention_norm="attention.output.LayerNorm", feed_forward_norm="output.LayerNorm"),
}

ESM2_UNUSED = re.compile(
    r"embeddings\.position_(embeddings\.weight|ids)|(pooler|contact_head|lm_head|classifier)\..*"
)
"""Rotary models never read their position table; the heads are not part of the encoder."""

BERT_UNUSED = re.compile(
    r"embeddings\.(position|token_type)_ids|(pooler|cls|classifier|qa_outputs)\..*"
)

# Stored once or in each layer; some versions of transformers write the name with an asterisk for
# the layer.
_STORED_INV_FREQ = re.compile(
    rf"(encoder\.layer\.(\d+|\*)\.attention\.self\.)?{re.escape(_INV_FREQ)}"
)


def esm2_params(tensors: Tensors, config: ESM2Config, *, prefix: str = "esm.") -> dict:
    """Converts an `EsmModel` state dict to parameters of `ESM2(config)` (float32).

    Names may begin with `prefix`.

    Rotary inverse frequencies are taken as stored (once, or equal in every layer) and computed
    where there are none.

    Raises:
      UserError: a tensor is missing, left over, or of another shape than the config asks for.
    """
    originals = _modern_names(tensors, prefix)
    modern = {
        name: tensors[original]
        for name, original in originals.items()
        if not _STORED_INV_FREQ.fullmatch(name)
    }
    stored = [original for name, original in originals.items() if _STORED_INV_FREQ.fullmatch(name)]
    for name in stored:
        if not np.array_equal(tensors[name], tensors[stored[0]]):
            raise UserError(
                f"Tensors {stored[0]} and {name} differ, but all layers must share one; "
                "repair the checkpoint."
            )
    modern[_INV_FREQ] = (
        tensors[stored[0]] if stored else np.asarray(initial_inv_freq(config.head_dim))
    )
    shapes = _param_shapes(ESM2, config, num_segments=1)
    return fill(
        shapes, modern, ESM2_TENSORS, unused=ESM2_UNUSED, original=_original(originals, prefix)
    )


def bert_params(tensors: Tensors, config: BertConfig, *, prefix: str = "bert.") -> dict:
    """Converts a `BertModel` state dict to parameters of `Bert(config)` (float32).

    Names may begin with `prefix`.

    Raises:
      UserError: a tensor is missing, left over, or of another shape than the config asks for.
    """
    originals = _modern_names(tensors, prefix)
    modern = {name: tensors[original] for name, original in originals.items()}
    shapes = _param_shapes(Bert, config)
    return fill(
        shapes, modern, BERT_TENSORS, unused=BERT_UNUSED, original=_original(originals, prefix)
    )


def known_unused(names: Iterable[str], unused: re.Pattern, *, prefix: str) -> list[str]:
    """The tensors in a file that the encoder does not use."""
    return sorted(
        original
        for name, original in _modern_names(names, prefix).items()
        if unused.fullmatch(name)
    )


def esm2_tensors(params: Mapping) -> dict[str, np.ndarray]:
    """The `EsmModel` state dict of ESM-2 parameters, as NumPy views, without pooler.

    Every layer has the inverse frequencies, as the published checkpoints have: old and new
    transformers read them there.
    """
    tensors = unfill(params, ESM2_TENSORS)
    inv_freq = tensors.pop(_INV_FREQ)
    num_layers = len(params["layers"]["attention_norm"]["scale"])
    return tensors | {
        f"{_LAYER}.attention.self.{_INV_FREQ}".format(layer=i): inv_freq for i in range(num_layers)
    }


def bert_tensors(params: Mapping) -> dict[str, np.ndarray]:
    """The `BertModel` state dict of BERT parameters (NumPy arrays), as views; no pooler."""
    return unfill(params, BERT_TENSORS)


def _modern_names(names: Iterable[str], prefix: str) -> dict[str, str]:
    """Each tensor's current name → its name in the file.

    Current names have no prefix, and no gamma and beta in layer norms.
    """
    modern = {}
    for name in names:
        today = re.sub(
            r"\.gamma$", ".weight", re.sub(r"\.beta$", ".bias", name.removeprefix(prefix))
        )
        if today in modern:
            raise UserError(
                f"Tensors {modern[today]} and {name} both stand for {today}; remove one."
            )
        modern[today] = name
    return modern


def _original(originals: Mapping[str, str], prefix: str) -> Callable[[str], str]:
    """Maps current names to those in the file, missing ones as the file would write them."""
    used = prefix if any(name.startswith(prefix) for name in originals.values()) else ""
    return lambda name: originals.get(name, used + name)


def _param_shapes(
    network: type[nn.Module], config: EncoderConfig, **options
) -> dict[str, tuple[int, ...]]:
    """Shape of every parameter by its path, without computing anything."""
    # Parameters do not depend on the attention; the dense one is traced fastest.
    model = network(dataclasses.replace(config, attention="dense"))
    tokens = jax.ShapeDtypeStruct((1, 2), jnp.int32)
    variables = jax.eval_shape(
        functools.partial(model.init, **options), jax.random.key(0), tokens, tokens, tokens
    )
    return {path: leaf.shape for path, leaf in flatten_dict(variables["params"], sep="/").items()}
