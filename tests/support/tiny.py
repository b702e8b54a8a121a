"""A tiny model and packed batches of generated records, for tests of the parts that need the
whole network."""

import functools
import pathlib

import jax
import numpy as np

from data_pipelines.protanno.record import Record
from data_pipelines.tokenizers.text_tokenizer import SPECIAL_TOKENS, TextTokenizer
from data_pipelines.training.examples import encode_example
from data_pipelines.training.masking import MASKS
from data_pipelines.training.packing import pack_rows
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import save_params
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.initialize import init_params
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel

WORDS = ("protein", "name", "function", "subcellular", "location", "similarity")
ACIDS = "ACDEFGHIKLMNPQRSTVWY"
SLOTS, PROTEIN_TOKENS, TEXT_TOKENS = 4, 128, 224
SHAPE = {"slots": SLOTS, "protein_tokens": PROTEIN_TOKENS, "text_tokens": TEXT_TOKENS}


@functools.cache
def text_tokenizer() -> TextTokenizer:
    letters = [chr(code) for code in range(33, 127)]
    return TextTokenizer([*SPECIAL_TOKENS, *letters, *(f"##{c}" for c in letters), *WORDS])


def records(count: int, *, seed: int = 0) -> list[Record]:
    """Random proteins of 12 to 30 residues; the i-th has 1 + i mod 4 properties."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        words = ["".join(rng.choice(list("abcdef"), 3)) for _ in range(4)]
        properties = dict(zip(("function", "location", "similarity"), words[1:], strict=True))
        kept = dict(list(properties.items())[: i % 4])
        sequence = "".join(rng.choice(list(ACIDS), rng.integers(12, 31)))
        made.append(Record(f"P{seed}{i:04}", "X", "swissprot", sequence, 1, words[0], **kept))
    return made


def examples(made: list[Record], *, passes: str = "separate") -> list:
    encode = functools.partial(
        encode_example, seed=7, text_tokenizer=text_tokenizer(), masks=MASKS[passes]
    )
    return [encode(record, draw=draw) for draw, record in enumerate(made)]


def pack(rows: list[list], **shape):
    """The batch of rows of examples in the tests' usual shape."""
    return pack_rows(rows, **{**SHAPE, **shape})


def model(attention: str = "blockwise", dtype: str = "float32") -> ProtCLIPModel:
    shared = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64}
    shared |= {"attention": attention, "dtype": dtype}
    text = BertConfig(**shared, vocab_size=len(text_tokenizer().vocabulary))
    config = ProtCLIPConfig(ESM2Config(**shared), text, projection_dim=16, num_prototypes=8)
    return ProtCLIPModel(config)


@functools.cache
def params() -> dict:
    """Random parameters, larger than at initialisation so that no path through the network is
    negligible."""
    tree = jax.jit(lambda: init_params(model(), jax.random.key(0)))()
    noise = iter(jax.random.split(jax.random.key(1), 1000))

    def shake(path, leaf):
        if jax.tree_util.keystr(path).endswith(("inv_freq']", "['log']")):
            return leaf
        return leaf + 0.2 * jax.random.normal(next(noise), leaf.shape)

    return jax.tree.map_with_path(shake, tree)


def sigmoid_params() -> dict:
    """The same with the sigmoid contrast's scale and bias, of logits on both sides of 0."""
    learnt = {"sigmoid_scale": {"log": np.float32(1.0)}, "sigmoid_bias": {"bias": np.float32(-0.5)}}
    return params() | learnt


def save(folder: pathlib.Path, config: dict) -> pathlib.Path:
    """Writes the model as a checkpoint; `config` is to describe it."""
    metadata.write_metadata(folder, config, text_tokenizer())
    save_params(folder, params())
    return folder


CONFIG = {
    "model": {
        "protein": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
        "text": {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64},
        "projection_dim": 16,
        "num_prototypes": 8,
        "prototype_temperature": 0.9,
        "dtype": "float32",
        "attention": "blockwise",
        "remat": "none",
    },
    "tokenizer": {"max_text_tokens": 64},
    "pda": {"theta": 0.3, "negatives": "within_record"},
}
