import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers.protein_tokenizer import CLS, EOS, MASK, PAD
from protclip_jax.convert.hf import esm2_params
from protclip_jax.models.esm2 import ESM2, ESM2Config, esm2_config, token_dropout_scale
from tests.support.hf_weights import pack, random_tensors, relative_error, rows_of, run_tower

CONFIG = ESM2Config(
    num_layers=2, hidden_size=32, num_heads=4, intermediate_size=80, attention="dense"
)


def hf_model(config, seed):
    pytest.importorskip("torch")
    from transformers import EsmConfig, EsmModel

    hf_config = EsmConfig(
        vocab_size=33,
        mask_token_id=MASK,
        pad_token_id=PAD,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        layer_norm_eps=config.layer_norm_eps,
        position_embedding_type="rotary",
        token_dropout=config.token_dropout,
        emb_layer_norm_before=False,
        attn_implementation="eager",
    )
    model = EsmModel(hf_config).eval()
    return model, random_tensors(model, seed)


def hf_hidden(model, tokens, segment_ids):
    import torch

    with torch.no_grad():
        output = model(
            torch.from_numpy(tokens).long(), attention_mask=torch.from_numpy(segment_ids).long()
        )
    return output.last_hidden_state.numpy()


def random_rows(seed, lengths, width):
    """Rows with all 33 tokens, including <mask> and <pad> inside, and padding at the end."""
    rng = np.random.default_rng(seed)
    segment_ids, positions = rows_of(lengths, width)
    tokens = np.full(segment_ids.shape, PAD, np.int32)
    for row, length in zip(tokens, lengths, strict=True):
        row[:length] = np.resize(rng.permutation(33), length)
        row[0], row[length - 1] = CLS, EOS
    return tokens, segment_ids, positions


@functools.cache
def initial_params():
    tokens = jnp.zeros((1, 4), jnp.int32)
    params = jax.jit(ESM2(CONFIG).init, static_argnums=4)(
        jax.random.key(0), tokens, tokens, tokens, 1
    )["params"]
    # Initial kernels of 0.02 leave attention uniform; larger ones make mistakes visible.
    return jax.tree.map(lambda p: p * 8 if p.ndim == 3 else p, params)


@functools.partial(jax.jit, static_argnames=("config", "num_segments"))
def forward(config, params, *rows, num_segments):
    return ESM2(config).apply({"params": params}, *rows, num_segments)


run = functools.partial(run_tower, forward, num_segments=1)


@pytest.mark.parametrize(
    "config",
    [
        CONFIG,
        ESM2Config(
            num_layers=3,
            hidden_size=60,
            num_heads=5,
            intermediate_size=120,
            token_dropout=False,
            attention="blockwise",
        ),
    ],
)
def test_equals_huggingface(config):
    model, tensors = hf_model(config, seed=1)
    rows = random_rows(2, [3, 17, 70, 41], 70)
    assert set(rows[0][rows[1] > 0]) == set(range(33))
    reference = hf_hidden(model, rows[0], rows[1])
    hidden = run(config, esm2_params(tensors, config), *rows)
    inside = rows[1] > 0
    assert relative_error(hidden[inside], reference[inside]) < 1e-5


def test_rounded_inverse_frequencies_are_loaded():
    """A float16 checkpoint with frequencies per layer gives the results of a model with them."""
    model, tensors = hf_model(CONFIG, seed=3)
    rounded = {name: tensor.astype(np.float16) for name, tensor in tensors.items()}
    inv_freq = rounded.pop("rotary_embeddings.inv_freq")
    for i in range(CONFIG.num_layers):
        rounded[f"encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq"] = inv_freq
    import torch

    model.load_state_dict(
        {
            name: torch.from_numpy(tensor.astype(np.float16).astype(np.float32))
            for name, tensor in tensors.items()
        }
    )
    rows = random_rows(4, [600], 600)
    params = esm2_params(rounded, CONFIG)
    assert relative_error(run(CONFIG, params, *rows), hf_hidden(model, *rows[:2])) < 1e-5
    computed = params | {"rotary_inv_freq": tensors["rotary_embeddings.inv_freq"]}
    assert relative_error(run(CONFIG, computed, *rows), hf_hidden(model, *rows[:2])) > 1e-4


@pytest.mark.parametrize("attention", ["dense", "blockwise"])
def test_packed_equals_alone(attention):
    config = dataclasses.replace(CONFIG, attention=attention)
    params = initial_params()
    rows = random_rows(5, [12, 40, 3, 65], 65)
    alone = run(config, params, *rows)
    packed = pack([row[ids > 0] for row, ids in zip(*rows[:2], strict=True)], 150, PAD)
    hidden = run(config, params, *packed, num_segments=6)
    for i in range(4):
        assert relative_error(hidden[packed[1] == i + 1], alone[i][rows[1][i] > 0]) < 1e-5

    perturbed = packed[0].copy()
    perturbed[packed[1] == 2] = MASK
    others = (packed[1] > 0) & (packed[1] != 2)
    again = run(config, params, perturbed, *packed[1:], num_segments=6)
    np.testing.assert_array_equal(again[others], hidden[others])


def test_token_dropout_formula():
    rng = np.random.default_rng(6)
    segment_ids = np.sort(rng.integers(0, 5, (3, 50)))[:, ::-1].astype(np.int32)
    tokens = np.where(rng.random((3, 50)) < 0.3, MASK, 7).astype(np.int32)
    tokens[segment_ids == 3] = MASK
    expected = np.zeros((3, 50))
    for row, position in np.ndindex(3, 50):
        segment = segment_ids[row, position]
        members = tokens[row][segment_ids[row] == segment]
        if segment and tokens[row, position] != MASK:
            expected[row, position] = (1 - 0.15 * 0.8) / (
                1 - np.mean(members == MASK, dtype=np.float64)
            )
    scale = token_dropout_scale(jnp.asarray(tokens), jnp.asarray(segment_ids), 6)
    chex.assert_shape(scale, (3, 50))
    np.testing.assert_allclose(scale, expected, rtol=1e-6)


def test_gradients():
    """Finite with empty rows and an all-mask segment, equal for every remat policy.

    The rotary frequencies have no gradient.
    """
    tokens, segment_ids, positions = random_rows(7, [20, 30, 0], 30)
    tokens[1, :30] = MASK
    rows = jax.tree.map(jnp.asarray, (tokens, segment_ids, positions))

    def loss(params, config):
        hidden = ESM2(config).apply({"params": params}, *rows, 2)
        return jnp.sum(jnp.where(segment_ids[:, :, None] > 0, jnp.sin(3 * hidden), 0))

    gradient = jax.jit(jax.grad(loss), static_argnums=1)
    params = initial_params()
    expected = flatten_dict(gradient(params, CONFIG), sep="/")
    chex.assert_tree_all_finite(expected)
    for changes in ({"remat": "dots", "attention": "blockwise"}, {"remat": "full"}):
        gradients = flatten_dict(gradient(params, dataclasses.replace(CONFIG, **changes)), sep="/")
        np.testing.assert_array_equal(gradients.pop("rotary_inv_freq"), 0)
        for path, leaf in gradients.items():
            assert np.abs(leaf).max() > 1e-3, path
            assert relative_error(leaf, expected[path]) < 1e-4, path


def test_bfloat16():
    rows = random_rows(8, [60, 45], 60)
    params = initial_params()
    exact = run(CONFIG, params, *rows)
    rough = run(dataclasses.replace(CONFIG, dtype="bfloat16"), params, *rows)
    inside = rows[1] > 0
    assert 1e-4 < relative_error(rough[inside], exact[inside]) < 3e-2


@pytest.mark.parametrize(
    ("name", "millions"), [("8m", 8), ("35m", 35), ("150m", 150), ("650m", 650), ("3b", 3000)]
)
def test_published_sizes(name, millions):
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    model = ESM2(esm2_config(name))
    params = jax.eval_shape(
        lambda key, *args: model.init(key, *args, 1), jax.random.key(0), tokens, tokens, tokens
    )
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == pytest.approx(millions * 1e6, rel=0.1)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(params))


def test_wrong_configs_say_so():
    with pytest.raises(UserError, match="ESM-2 .*'7b'"):
        esm2_config("7b")
    with pytest.raises(UserError, match="num_heads=5"):
        dataclasses.replace(CONFIG, num_heads=5)
    with pytest.raises(UserError, match="num_heads.* odd"):
        dataclasses.replace(CONFIG, num_heads=32)
    with pytest.raises(UserError, match="remat='some'"):
        dataclasses.replace(CONFIG, remat="some")
    with pytest.raises(UserError, match="dtype='float16'"):
        dataclasses.replace(CONFIG, dtype="float16")
