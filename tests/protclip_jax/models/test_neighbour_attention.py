"""Heads initialised to look at neighbours: where they look, by float64 formulas and in a tower."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.models.esm2 import ESM2, ESM2Config
from protclip_jax.models.neighbour_attention import head_offsets, look_at_neighbours, offset_biases

SHAPE = {"num_layers": 2, "hidden_size": 64, "num_heads": 4, "intermediate_size": 128}
CONFIG = ESM2Config(**SHAPE, initial_attention="neighbours", initializer_range=0.125)
LENGTH = 120


def turned(vector, position):
    """Rotates a head's vector in float64: pairs (i, i + d/2) by position · 10000^(−2i/d)."""
    half = len(vector) // 2
    angles = position / 10000.0 ** (np.arange(half) * 2 / len(vector))
    first, second = vector[:half], vector[half:]
    return np.concatenate(
        [
            first * np.cos(angles) - second * np.sin(angles),
            second * np.cos(angles) + first * np.sin(angles),
        ]
    )


def test_offsets():
    assert head_offsets(5) == (-1, 1, -2, 2, -3)


@pytest.mark.parametrize("head", range(4))
def test_each_head_looks_at_its_offset(head):
    width, dim = CONFIG.hidden_size, CONFIG.head_dim
    bias = np.asarray(offset_biases(CONFIG), np.float64)
    query = bias[:width].reshape(-1, dim)[head]
    key = bias[width : 2 * width].reshape(-1, dim)[head]
    assert not bias[2 * width :].any()
    keys = np.array([turned(key, position) for position in range(LENGTH)])
    for position in (5, 60, LENGTH - 6):
        scores = keys @ turned(query, position) / np.sqrt(dim)
        weights = np.exp(scores - scores.max())
        weights /= weights.sum()
        assert weights.argmax() == position + head_offsets(4)[head]
        assert weights.max() > 0.85


def test_a_residue_feels_its_neighbours_at_once():
    """In the whole tower, changing a residue moves those within reach of two layers, few others."""
    protein = ESM2(CONFIG)
    tokens = jax.random.randint(jax.random.key(1), (1, LENGTH), 4, 24)
    ones, positions = jnp.ones_like(tokens), jnp.arange(LENGTH)[None]
    params = protein.init(jax.random.key(0), tokens, ones, positions, 1)["params"]
    params["layers"]["attention"]["qkv"] = look_at_neighbours(
        params["layers"]["attention"]["qkv"], CONFIG
    )
    changed = tokens.at[0, 60].set((tokens[0, 60] - 4 + 7) % 20 + 4)
    before, after = (
        protein.apply({"params": params}, each, ones, positions, 1) for each in (tokens, changed)
    )
    moved = np.linalg.norm(np.asarray(after - before)[0], axis=-1)
    near = moved[56:65]
    far = np.concatenate([moved[1:50], moved[71:-1]])
    assert near.min() > 3 * far.max()


def test_an_unknown_start_is_named():
    with pytest.raises(UserError, match="initial_attention='x'.* random or neighbours"):
        ESM2Config(**SHAPE, initial_attention="x")
