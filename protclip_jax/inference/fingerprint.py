"""A digest of everything that determines a model's outputs, which identifies an index's model."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.config.schema import completed
from protclip_jax.models.layers import EncoderConfig
from protclip_jax.models.protclip import ProtCLIPConfig

_APART = ("dtype", "attention", "remat", "initializer_range", "vocab_size")
"""Fields of a tower that are left out.

They say how it is computed and initialised; the vocabulary's size is part of the vocabulary.
"""
_SEGMENTS = ("theta", "prototypes", "mask_prefix")
"""Options of PDA that determine the weights of residues."""


def model_fingerprint(
    params: str, network: ProtCLIPConfig, *, config: Mapping, text_tokenizer: TextTokenizer | None
) -> str:
    """SHA-256 (hex) of the parameters' digest, the towers' shapes, the vocabulary and the options.

    The options are those for reading texts and properties. `config` is the training config; a
    missing field has the value that the code used before the field existed.
    """
    fields = completed(config)
    parts = {
        "parameters": params,
        "protein": _shape(network.protein),
        "text": _shape(network.text),
        "prototype_temperature": network.prototype_temperature,
        "segments": {name: fields["pda"][name] for name in _SEGMENTS},
    }
    if text_tokenizer is not None:
        parts["words"] = text_tokenizer.fingerprint
        parts["max_text_tokens"] = fields["tokenizer"]["max_text_tokens"]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _shape(tower: EncoderConfig | None) -> dict | None:
    if tower is None:
        return None
    return {name: value for name, value in dataclasses.asdict(tower).items() if name not in _APART}
