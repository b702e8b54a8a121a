"""Hugging Face's config.json ↔ the shapes of our encoders, as transformers reads and writes it."""

import reprlib
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.common.settings import ROWS, Kind
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.config.schema import TOWERS
from protclip_jax.convert.quiet_transformers import transformers
from protclip_jax.models.bert import NUM_TOKEN_TYPES, BertConfig
from protclip_jax.models.esm2 import ESM2Config

_NAMES = {
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "max_positions": "max_position_embeddings",
}
"""Fields of ours that transformers names otherwise."""

# Field of transformers → the values that our encoder implements; the first one is written.
_SHARED = {
    "hidden_act": ("gelu",),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
}
_ESM2 = {
    "model_type": ("esm",),
    "vocab_size": (len(protein_tokenizer.VOCABULARY),),
    "position_embedding_type": ("rotary",),
    "emb_layer_norm_before": (False, None),
    "is_folding_model": (False, None),
    "mask_token_id": (protein_tokenizer.MASK, None),
    "rope_theta": (10000.0,),
    **_SHARED,
}
_BERT = {
    "model_type": ("bert",),
    "position_embedding_type": ("absolute",),
    "type_vocab_size": (NUM_TOKEN_TYPES,),
    **_SHARED,
}


_OURS_ALONE = ("initial_attention",)
"""Fields of a tower that say how random weights start, which converted ones never do."""


def esm2_fields(config: Mapping, *, name: str) -> dict:
    """Converts an `EsmConfig` in JSON to the fields of `config.model.protein`.

    `name` says in errors where it is from.

    Raises:
      UserError: transformers refuses a value, a size is out of range, or it asks for something
        that ESM-2 lacks.
    """
    theirs = _read(config, _ESM2, name=name)
    theirs.token_dropout = theirs.token_dropout or False
    return _fields(theirs, "model.protein", name=name)


def bert_fields(config: Mapping, *, name: str) -> tuple[dict, int]:
    """The fields of `config.model.text` from a `BertConfig` as JSON, and the vocabulary's size.

    Raises:
      UserError: transformers refuses a value, a size is out of range, or it asks for something
        that our BERT lacks.
    """
    theirs = _read(config, _BERT, name=name)
    _check("vocab_size", theirs.vocab_size, ROWS, name=name)
    return _fields(theirs, "model.text", name=name), theirs.vocab_size


def esm2_config(config: ESM2Config, *, dtype: str):
    """The `EsmConfig` with which `EsmModel` loads an exported protein tower."""
    fixed = {
        "architectures": ["EsmModel"],
        "pad_token_id": protein_tokenizer.PAD,
        "torch_dtype": dtype,
    }
    return _written(config, "model.protein", _ESM2, fixed)


def bert_config(config: BertConfig, *, dtype: str, pad_id: int):
    """The `BertConfig` of transformers with which `BertModel` loads an exported text tower."""
    fixed = {"architectures": ["BertModel"], "pad_token_id": pad_id, "torch_dtype": dtype}
    return _written(config, "model.text", _BERT, {"vocab_size": config.vocab_size, **fixed})


def _written(
    config: ESM2Config | BertConfig, tower: str, implemented: Mapping[str, tuple], fixed: Mapping
):
    fields = {
        _NAMES.get(ours, ours): getattr(config, ours)
        for ours in TOWERS[tower]
        if ours not in _OURS_ALONE
    }
    fields |= {field: values[0] for field, values in implemented.items()}
    # Dropout is not used in our training.
    fields |= {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return transformers().CONFIG_MAPPING[fields["model_type"]].from_dict(fields | fixed)


def _read(config: Mapping, implemented: Mapping[str, tuple], *, name: str):
    """The config as transformers reads it, with nothing in it that is not implemented."""
    (kind,) = implemented["model_type"]
    # transformers accepts a config of any type for a class.
    _check_implemented("model_type", config.get("model_type", kind), (kind,), name=name)
    try:
        theirs = transformers().CONFIG_MAPPING[kind].from_dict(dict(config))
    except Exception as error:  # of several kinds, which differ between versions
        raise UserError(f"{name} is refused by transformers ({error}); correct it.") from error
    for field, values in implemented.items():
        _check_implemented(field, getattr(theirs, field, values[0]), values, name=name)
    return theirs


def _check_implemented(field: str, value: object, implemented: tuple, *, name: str) -> None:
    if value not in implemented:
        shown = f"{field}={reprlib.repr(value)}"
        raise UserError(
            f"{name}: {shown} is not supported, only {implemented[0]!r}; give another model."
        )


def _fields(theirs, tower: str, *, name: str) -> dict:
    fields = {
        ours: getattr(theirs, _NAMES.get(ours, ours))
        for ours in TOWERS[tower]
        if ours not in _OURS_ALONE
    }
    for ours, value in fields.items():
        _check(_NAMES.get(ours, ours), value, TOWERS[tower][ours].kind, name=name)
    return fields


def _check(field: str, value: object, kind: Kind, *, name: str) -> None:
    if not kind.allows(value):
        raise UserError(f"{name}: {field}={reprlib.repr(value)} must be {kind.wanted}.")
