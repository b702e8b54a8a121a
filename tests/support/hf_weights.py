"""Random weights and errors for comparisons with the Hugging Face encoders."""

import chex
import numpy as np


def random_tensors(model, seed: int) -> dict[str, np.ndarray]:
    """Gives a torch model random weights far from their initial values and returns its state dict
    as NumPy arrays.

    Attention is then far from uniform and norms from the identity, so that a wrong mask, scale
    or order shows.
    """
    import torch

    rng = np.random.default_rng(seed)
    tensors = {}
    for name, tensor in model.state_dict().items():
        shape = tuple(tensor.shape)
        if not tensor.dtype.is_floating_point or name.endswith("inv_freq"):
            tensors[name] = tensor.numpy().copy()
            continue
        scale = 1.5 / np.sqrt(shape[-1]) if len(shape) == 2 and "embeddings" not in name else 0.3
        centre = (
            1.0
            if name.endswith("LayerNorm.weight") or name.endswith("layer_norm_after.weight")
            else 0.0
        )
        tensors[name] = (centre + scale * rng.normal(size=shape)).astype(np.float32)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in tensors.items()})
    return tensors


def relative_error(value, reference) -> float:
    """Largest absolute difference over the largest absolute reference value."""
    value, reference = np.asarray(value, np.float64), np.asarray(reference, np.float64)
    assert value.shape == reference.shape
    return float(np.abs(value - reference).max() / np.abs(reference).max())


def rows_of(lengths, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Segment ids and positions [rows, width] of one segment a row, with the given lengths."""
    positions = np.broadcast_to(np.arange(width), (len(lengths), width))
    inside = positions < np.asarray(lengths)[:, None]
    return inside.astype(np.int32), np.where(inside, positions, 0).astype(np.int32)


def pack(
    rows: list[np.ndarray], width: int, padding: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Tokens, segment ids and positions [1, width] of all rows behind one another, padded at the
    end."""
    tail = width - sum(map(len, rows))
    tokens = np.concatenate([*rows, np.full(tail, padding)])
    ids = np.concatenate(
        [*(np.full(len(row), i + 1) for i, row in enumerate(rows)), np.zeros(tail)]
    )
    positions = np.concatenate([*(np.arange(len(row)) for row in rows), np.zeros(tail)])
    return tuple(array[None].astype(np.int32) for array in (tokens, ids, positions))


def tiny_esm(*, num_layers: int = 2, **changes):
    """A small `EsmModel` with random weights, in evaluation mode."""
    from transformers import EsmConfig, EsmModel

    shape = {
        "hidden_size": 16,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 2,
        "intermediate_size": 40,
    }
    fixed = {"vocab_size": 33, "mask_token_id": 32, "pad_token_id": 1, "layer_norm_eps": 1e-5}
    rotary = {
        "position_embedding_type": "rotary",
        "token_dropout": True,
        "emb_layer_norm_before": False,
    }
    model = EsmModel(EsmConfig(**shape, **fixed, **rotary | changes)).eval()
    random_tensors(model, seed=1)
    return model


def tiny_bert(*, vocab_size: int, num_layers: int = 2):
    """A small `BertModel` with random weights, in evaluation mode."""
    from transformers import BertConfig, BertModel

    shape = {
        "hidden_size": 24,
        "num_hidden_layers": num_layers,
        "num_attention_heads": 3,
        "intermediate_size": 40,
    }
    model = BertModel(BertConfig(**shape, vocab_size=vocab_size, max_position_embeddings=48)).eval()
    random_tensors(model, seed=2)
    return model


SHAPE = {"num_layers": 2, "hidden_size": 8, "num_heads": 2, "intermediate_size": 20}
"""Of the encoders whose tensors the functions below make, without torch; 33 and 11 tokens, 16
positions."""


def _encoder_tensors(norms):
    """The tensors both encoders share, random, under Hugging Face's names."""
    rng = np.random.default_rng(0)
    dim, hidden = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    tensors = {}
    for i in range(SHAPE["num_layers"]):
        sizes = {f"attention.self.{name}": (dim, dim) for name in ("query", "key", "value")}
        sizes |= {
            "attention.output.dense": (dim, dim),
            "intermediate.dense": (hidden, dim),
            "output.dense": (dim, hidden),
        }
        for name, size in (sizes | dict.fromkeys(norms, (dim,))).items():
            tensors[f"encoder.layer.{i}.{name}.weight"] = rng.normal(size=size).astype(np.float32)
            tensors[f"encoder.layer.{i}.{name}.bias"] = rng.normal(size=size[:1]).astype(np.float32)
    return tensors


def make_esm2() -> dict[str, np.ndarray]:
    """A random `EsmModel` state dict without rotary frequencies."""
    tensors = _encoder_tensors(["attention.LayerNorm", "LayerNorm"])
    table = np.random.default_rng(1).normal(size=(33, 8)).astype(np.float32)
    return tensors | {
        "embeddings.word_embeddings.weight": table,
        "encoder.emb_layer_norm_after.weight": table[0],
        "encoder.emb_layer_norm_after.bias": table[1],
    }


def make_bert() -> dict[str, np.ndarray]:
    """A random `BertModel` state dict."""
    tensors = _encoder_tensors(["attention.output.LayerNorm", "output.LayerNorm"])
    table = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)
    return tensors | {
        "embeddings.word_embeddings.weight": table[:11],
        "embeddings.position_embeddings.weight": table,
        "embeddings.token_type_embeddings.weight": table[:2],
        "embeddings.LayerNorm.weight": table[0],
        "embeddings.LayerNorm.bias": table[1],
    }


SIZES = {
    "num_hidden_layers": 2,
    "hidden_size": 8,
    "num_attention_heads": 2,
    "intermediate_size": 20,
}
ESM2 = {
    **SIZES,
    "model_type": "esm",
    "vocab_size": 33,
    "position_embedding_type": "rotary",
    "layer_norm_eps": 1e-5,
}
BERT = {**SIZES, "model_type": "bert", "vocab_size": 11, "max_position_embeddings": 16}
VOCABULARY = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdef"])


def run_tower(forward, config, params, *rows, **options):
    """What a tower makes of packed rows, as float32; its shape and dtype are checked."""
    hidden = forward(config, params, *rows, **options)
    chex.assert_shape(hidden, (*rows[0].shape, config.hidden_size))
    chex.assert_type(hidden, config.dtype)
    return np.asarray(hidden, np.float32)
