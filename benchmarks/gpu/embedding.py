"""Protein embeddings: real tokens per second of `ProtCLIP.represent` with random weights."""

import statistics
import time

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.gpu.scale import Scale
from protclip_jax.attention.registry import AUTO
from protclip_jax.config.build import model_config
from protclip_jax.distributed import sharding
from protclip_jax.inference.protclip import ProtCLIP
from protclip_jax.models.esm2 import SIZES
from protclip_jax.models.protclip import ProtCLIPModel

MEDIAN, SIGMA, SHORTEST, LONGEST = 300, 0.6, 50, 1022
"""Log-normal lengths as in UniProt."""


def measure(scale: Scale) -> dict:
    """Measures tokens per second in float32, the default, and bfloat16."""
    proteins = sequences(scale.proteins)
    tokens = sum(map(len, proteins)) + 2 * len(proteins)
    found = {"proteins": len(proteins), "tokens": tokens}
    for dtype in ("float32", "bfloat16"):
        model = random_model(scale.protein, dtype)
        model.represent(proteins, kinds=["mean"])
        seconds = [timed(model, proteins) for _ in range(min(2, scale.repeats))]
        found[f"{dtype} tokens/s"] = tokens / statistics.median(seconds)
    return found


def timed(model: ProtCLIP, proteins: list[str]) -> float:
    """Seconds to embed all proteins, from strings to arrays on the host."""
    start = time.perf_counter()
    model.represent(proteins, kinds=["mean"])
    return time.perf_counter() - start


def sequences(count: int) -> list[str]:
    """Generates random proteins with UniProt's lengths."""
    rng = np.random.default_rng(0)
    drawn = rng.lognormal(np.log(MEDIAN), SIGMA, count)
    lengths = np.clip(drawn, SHORTEST, LONGEST).astype(int)
    letters = list("ACDEFGHIKLMNPQRSTVWY")
    return ["".join(rng.choice(letters, length)) for length in lengths]


def random_model(size: str, dtype: str) -> ProtCLIP:
    """A random model with only a protein tower of the given size."""
    num_layers, hidden_size, num_heads = SIZES[size]
    tower = {
        "num_layers": num_layers,
        "hidden_size": hidden_size,
        "num_heads": num_heads,
        "intermediate_size": 4 * hidden_size,
    }
    shape = {
        "protein": tower,
        "text": None,
        "dtype": dtype,
        "attention": AUTO,
        "remat": "none",
        "projection_dim": 512,
        "num_prototypes": 512,
        "prototype_temperature": 0.9,
    }
    model = ProtCLIPModel(model_config({"model": shape}, text_vocab_size=0))
    params = jax.jit(lambda key: tower_params(model, key))(jax.random.key(0))
    return ProtCLIP(model, params, None, config={}, mesh=sharding.make_mesh(-1, 1))


def tower_params(model: ProtCLIPModel, key: jax.Array) -> dict:
    """Random parameters of the protein tower."""
    ones = jnp.ones((1, 4), jnp.int32)
    return model.init(key, ones, ones, ones, 1, method=ProtCLIPModel.encode_protein)["params"]
