"""Initialises attention heads to look at fixed distances, for protein towers trained from scratch.

Random heads first have to learn that neighbours matter, which takes a small tower most of a short
run. Rotary positions can express a distance from the start. With a query bias a, and a key bias a
rotated back by an offset o, the score of residues n and m is Σ_i a² cos(θ_i·(n − m − o)) / √d,
which is largest at n = m + o. Together the heads of a layer see a window of residues, as a
convolution does (Cordonnier et al. 2020 show that attention can express one; d'Ascoli et al. 2021
start from one).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from protclip_jax.models.esm2 import ESM2Config, initial_inv_freq

AMPLITUDE = 5.0
"""The bias a. With heads of size 16, a head then puts 0.9 of its attention on the residue at its
offset, among a hundred residues."""
CONTENT = 0.1
"""Factor on the query and key kernels, so that content barely disturbs the offsets at first."""


def head_offsets(num_heads: int) -> tuple[int, ...]:
    """Offset of each head: −1, 1, −2, 2, …"""
    return tuple((head // 2 + 1) * (-1 if head % 2 == 0 else 1) for head in range(num_heads))


def offset_biases(config: ESM2Config) -> Float[Array, " D3"]:
    """The `qkv` bias that points each head at its offset; zero for the values."""
    theta = initial_inv_freq(config.head_dim)
    angles = -jnp.array(head_offsets(config.num_heads), jnp.float32)[:, None] * theta
    ones = jnp.ones_like(angles)
    queries = AMPLITUDE * jnp.concatenate([ones, jnp.zeros_like(angles)], axis=-1)
    keys = AMPLITUDE * jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=-1)
    return jnp.concatenate([queries.ravel(), keys.ravel(), jnp.zeros(config.hidden_size)])


def look_at_neighbours(qkv: dict, config: ESM2Config) -> dict:
    """Points all heads at their offsets; `qkv` has kernel [N, D, 3D] and bias [N, 3D]."""
    width = config.hidden_size
    factors = jnp.concatenate([jnp.full(2 * width, CONTENT), jnp.ones(width)])
    biases = jnp.broadcast_to(offset_biases(config), qkv["bias"].shape)
    return {"kernel": qkv["kernel"] * factors, "bias": biases}
