import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from protclip_jax.convert.hf import bert_params
from protclip_jax.models.bert import Bert, BertConfig
from tests.support.hf_weights import pack, random_tensors, relative_error, rows_of, run_tower

CONFIG = BertConfig(
    num_layers=2,
    hidden_size=32,
    num_heads=4,
    intermediate_size=80,
    vocab_size=60,
    max_positions=64,
    attention="dense",
)


def hf_model(config, seed):
    pytest.importorskip("torch")
    from transformers import BertConfig as HFConfig
    from transformers import BertModel

    hf_config = HFConfig(
        vocab_size=config.vocab_size,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        max_position_embeddings=config.max_positions,
        layer_norm_eps=config.layer_norm_eps,
        attn_implementation="eager",
    )
    model = BertModel(hf_config).eval()
    return model, random_tensors(model, seed)


def random_rows(seed, lengths, width):
    segment_ids, positions = rows_of(lengths, width)
    tokens = np.random.default_rng(seed).integers(0, CONFIG.vocab_size, segment_ids.shape)
    return np.where(segment_ids > 0, tokens, 0).astype(np.int32), segment_ids, positions


@functools.cache
def initial_params():
    tokens = jnp.zeros((1, 4), jnp.int32)
    params = jax.jit(Bert(CONFIG).init)(jax.random.key(0), tokens, tokens, tokens)["params"]
    # Initial kernels of 0.02 leave attention uniform; larger ones make mistakes visible.
    return jax.tree.map(lambda p: p * 8 if p.ndim == 3 else p, params)


@functools.partial(jax.jit, static_argnames="config")
def forward(config, params, *rows):
    return Bert(config).apply({"params": params}, *rows)


run = functools.partial(run_tower, forward)


@pytest.mark.parametrize(
    ("shape", "attention"),
    [
        ({}, "dense"),
        (
            {
                "num_layers": 3,
                "hidden_size": 60,
                "num_heads": 5,
                "intermediate_size": 120,
                "vocab_size": 70,
            },
            "blockwise",
        ),
    ],
)
def test_equals_huggingface(shape, attention):
    config = dataclasses.replace(CONFIG, **shape, attention=attention)
    model, tensors = hf_model(config, seed=1)
    rows = random_rows(2, [2, 17, 64, 41], 64)
    import torch

    with torch.no_grad():
        output = model(
            torch.from_numpy(rows[0]).long(), attention_mask=torch.from_numpy(rows[1]).long()
        )
    hidden = run(config, bert_params(tensors, config), *rows)
    inside = rows[1] > 0
    assert relative_error(hidden[inside], output.last_hidden_state.numpy()[inside]) < 1e-5


@pytest.mark.parametrize("attention", ["dense", "blockwise"])
def test_packed_equals_alone(attention):
    config = dataclasses.replace(CONFIG, attention=attention)
    params = initial_params()
    rows = random_rows(5, [12, 40, 3, 64], 64)
    alone = run(config, params, *rows)
    packed = pack([row[ids > 0] for row, ids in zip(*rows[:2], strict=True)], 150, 0)
    hidden = run(config, params, *packed)
    for i in range(4):
        assert relative_error(hidden[packed[1] == i + 1], alone[i][rows[1][i] > 0]) < 1e-5


def test_gradients():
    """Finite with an empty row, unchanged by remat, and only token type 0 has a gradient."""
    rows = jax.tree.map(jnp.asarray, random_rows(7, [20, 30, 0], 30))

    def loss(params, config):
        hidden = Bert(config).apply({"params": params}, *rows)
        return jnp.sum(jnp.where(rows[1][:, :, None] > 0, jnp.sin(3 * hidden), 0))

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    gradients = flatten_dict(gradient(initial_params(), CONFIG), sep="/")
    expected = flatten_dict(
        gradient(initial_params(), dataclasses.replace(CONFIG, remat="full")), sep="/"
    )
    chex.assert_tree_all_finite(gradients)
    for path, leaf in gradients.items():
        assert np.abs(leaf).max() > 1e-3, path
        assert relative_error(leaf, expected[path]) < 1e-4, path
    np.testing.assert_array_equal(gradients["token_type_embedding/embedding"][1], 0)


def test_bfloat16():
    rows = random_rows(8, [60, 45], 60)
    params = initial_params()
    exact = run(CONFIG, params, *rows)
    rough = run(dataclasses.replace(CONFIG, dtype="bfloat16"), params, *rows)
    inside = rows[1] > 0
    assert 1e-4 < relative_error(rough[inside], exact[inside]) < 3e-2


def test_position_beyond_the_table_is_loud():
    rows = random_rows(9, [65], 65)
    assert not np.isfinite(run(CONFIG, initial_params(), *rows)).all()
