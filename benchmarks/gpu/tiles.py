"""Compares kernel blocks of 64 and 128 tokens on packed rows of proteins."""

import jax.numpy as jnp
import numpy as np

from benchmarks.attention import alternate, packed_ids, passes
from benchmarks.gpu.scale import Scale
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.attention.triton import Tiles, Triton
from protclip_jax.config.build import own_target

TILES = {
    "64 x 4 x 2": Tiles(64, 4, 2),
    "128 x 8 x 2": Tiles(128, 8, 2),
    "64 x 4 x 3": Tiles(64, 4, 3),
}
DIM, ROWS = 64, 8


def measure(scale: Scale) -> dict:
    """Milliseconds for each block shape; {} if the device has no Triton."""
    if BACKENDS["triton"].lacking(own_target(), "bfloat16"):
        return {}
    rng = np.random.default_rng(0)
    ids = packed_ids(rng, rows=ROWS, length=scale.tokens, median=300)
    shape = (*ids.shape, scale.heads, DIM)
    *qkv, cotangent = (jnp.asarray(rng.standard_normal(shape), "bfloat16") for _ in range(4))
    compiled = {}
    for name, tiles in TILES.items():
        # The backend is looked up by name when the function is traced, at the first call.
        BACKENDS["triton"] = Triton(tiles=tiles)
        compiled[name] = passes("triton", qkv, cotangent, ids, ids)["forward_backward"]
        compiled[name]()
    return alternate(compiled, repeats=scale.repeats)
