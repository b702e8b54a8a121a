"""One digest of all that decides a model's numbers, by which an index knows the model that it
was made with."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping

from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.config.schema import completed
from protclip_jax.models.layers import EncoderConfig
from protclip_jax.models.protclip import ProtCLIPConfig

_APART = ("dtype", "attention", "remat", "initializer_range", "vocab_size")
"""Of a tower: how it is computed, how it began, and what the vocabulary says itself."""
_SEGMENTS = ("theta", "prototypes", "mask_prefix")
"""Options of PDA that decide the weights of residues."""


def model_fingerprint(
    params: str, network: ProtCLIPConfig, *, config: Mapping, text_tokenizer: TextTokenizer | None
) -> str:
    """SHA-256 (hex) of the parameters' digest, the towers' shapes, the words, and how texts and
    properties are read.

    `config` is the training config, of which a field that is missing counts as the value that
    code had before it.
    """
    fields = completed(config)
    decides = {
        "parameters": params,
        "protein": _shape(network.protein),
        "text": _shape(network.text),
        "prototype_temperature": network.prototype_temperature,
        "segments": {name: fields["pda"][name] for name in _SEGMENTS},
    }
    if text_tokenizer is not None:
        decides["words"] = text_tokenizer.fingerprint
        decides["max_text_tokens"] = fields["tokenizer"]["max_text_tokens"]
    return hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()


def _shape(tower: EncoderConfig | None) -> dict | None:
    if tower is None:
        return None
    return {name: value for name, value in dataclasses.asdict(tower).items() if name not in _APART}
