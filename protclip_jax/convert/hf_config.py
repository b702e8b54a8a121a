"""Hugging Face's config.json ↔ the shapes of our encoders; what these do not implement is refused by name."""

import reprlib
from collections.abc import Mapping

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.models.bert import NUM_TOKEN_TYPES, BertConfig
from protclip_jax.models.esm2 import ESM2Config

_SIZES = {
    "num_layers": "num_hidden_layers",
    "hidden_size": "hidden_size",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
}
_MAX_SIZE, _MAX_ROWS = 1 << 16, 1 << 24
"""Of layers and widths, and of tables: far above every model, and what any of them multiply to can be reckoned with."""

_NUMBERS = {"initializer_range": 0.02, "layer_norm_eps": 1e-12}
"""Fields of the same name on both sides, with Hugging Face's default."""

# Field → what is implemented, and what Hugging Face means where the field is absent or null.
_FIXED = {"hidden_act": ("gelu", "gelu"), "is_decoder": (False, False), "add_cross_attention": (False, False)}
_ESM2_FIXED = {
    "model_type": ("esm", "esm"),
    "vocab_size": (len(protein_tokenizer.VOCABULARY), None),
    "position_embedding_type": ("rotary", "absolute"),
    "emb_layer_norm_before": (False, False),
    "is_folding_model": (False, False),
    "mask_token_id": (protein_tokenizer.MASK, protein_tokenizer.MASK),
    "rope_theta": (10000.0, 10000.0),
    **_FIXED,
}
_BERT_FIXED = {
    "model_type": ("bert", "bert"),
    "position_embedding_type": ("absolute", "absolute"),
    "type_vocab_size": (NUM_TOKEN_TYPES, NUM_TOKEN_TYPES),
    **_FIXED,
}


def esm2_fields(config: Mapping, *, name: str) -> dict:
    """The fields of `config.model.protein` from an `EsmConfig` as JSON; `name` says in errors where it comes from.

    Raises:
      UserError: a field is missing, no sensible number, or asks for something that ESM-2 has not.
    """
    _check_fixed(config, _ESM2_FIXED, name=name)
    dropout = config.get("token_dropout")
    if dropout not in (None, False, True):
        raise UserError(f"{name}: token_dropout={reprlib.repr(dropout)} is neither true nor false; mend it.")
    return _fields(config, name=name) | {"token_dropout": bool(dropout)}


def bert_fields(config: Mapping, *, name: str) -> tuple[dict, int]:
    """The fields of `config.model.text` from a `BertConfig` as JSON, and the vocabulary's size.

    Raises:
      UserError: a field is missing, no sensible number, or asks for something that our BERT has not.
    """
    _check_fixed(config, _BERT_FIXED, name=name)
    positions = {"max_positions": _size(config, "max_position_embeddings", _MAX_ROWS, name=name)}
    return _fields(config, name=name) | positions, _size(config, "vocab_size", _MAX_ROWS, name=name)


def esm2_json(config: ESM2Config, *, dtype: str) -> dict:
    """The config.json with which `EsmModel` loads an exported protein tower."""
    return {
        "architectures": ["EsmModel"],
        **_json(config, _ESM2_FIXED, dtype=dtype),
        "token_dropout": config.token_dropout,
        "pad_token_id": protein_tokenizer.PAD,
        "max_position_embeddings": 1026,
    }


def bert_json(config: BertConfig, *, dtype: str, pad_id: int) -> dict:
    """The config.json with which `BertModel` loads an exported text tower."""
    return {
        "architectures": ["BertModel"],
        **_json(config, _BERT_FIXED, dtype=dtype),
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.max_positions,
        "pad_token_id": pad_id,
    }


def _json(config: ESM2Config | BertConfig, fixed: Mapping[str, tuple], *, dtype: str) -> dict:
    return {
        **{field: implemented for field, (implemented, _) in fixed.items()},
        **{theirs: getattr(config, ours) for ours, theirs in _SIZES.items()},
        **{field: getattr(config, field) for field in _NUMBERS},
        # There is no dropout in our training.
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        # Every version of transformers reads this name, old ones do not know `dtype`.
        "torch_dtype": dtype,
    }


def _check_fixed(config: Mapping, fixed: Mapping[str, tuple], *, name: str) -> None:
    for field, (implemented, default) in fixed.items():
        value = default if config.get(field) is None else config[field]
        if value != implemented:
            raise UserError(
                f"{name}: {field}={reprlib.repr(value)} is not supported, only {implemented!r}; "
                f"give another model of type {fixed['model_type'][0]}."
            )


def _fields(config: Mapping, *, name: str) -> dict:
    sizes = {ours: _size(config, theirs, _MAX_SIZE, name=name) for ours, theirs in _SIZES.items()}
    return sizes | {field: _fraction(config, field, default, name=name) for field, default in _NUMBERS.items()}


def _size(config: Mapping, field: str, largest: int, *, name: str) -> int:
    value = config.get(field)
    if type(value) is not int or not 1 <= value <= largest:
        raise UserError(f"{name}: {field}={reprlib.repr(value)} is no integer from 1 to {largest}; mend it.")
    return value


def _fraction(config: Mapping, field: str, default: float, *, name: str) -> float:
    value = default if config.get(field) is None else config[field]
    if type(value) not in (int, float) or not 0 < value < 1:
        raise UserError(f"{name}: {field}={reprlib.repr(value)} is no number between 0 and 1; mend it.")
    return float(value)
