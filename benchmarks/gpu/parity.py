"""Compares every attention backend of the device with dense: values, gradients, segment leaks."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.attention import packed_ids
from benchmarks.gpu.scale import Scale
from protclip_jax.attention import attention
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.config.build import own_target

TOLERANCE = {"float32": 1e-2, "bfloat16": 5e-2}
"""Maximum error relative to the largest value; GPUs compute float32 dense products in TF32."""
DIM = 64


def measure(scale: Scale) -> dict:
    """Largest errors by dtype and backend, relative to dense's largest value, and a verdict."""
    found = {}
    for dtype in TOLERANCE:
        for name, backend in BACKENDS.items():
            if name == "dense" or backend.lacking(own_target(), dtype):
                continue
            errors = compare(name, dtype, scale)
            well = errors["leaked"] == 0 and max(errors.values()) < TOLERANCE[dtype]
            found[f"{dtype}/{name}"] = {**errors, "well": bool(well)}
    return {"backends": found, "well": all(each["well"] for each in found.values())}


def compare(name: str, dtype: str, scale: Scale) -> dict[str, float]:
    """Errors of one backend against dense, and the effect of a changed segment on others."""
    rng = np.random.default_rng(0)
    ids = packed_ids(rng, rows=2, length=scale.tokens, median=max(8, scale.tokens // 7))
    shape = (*ids.shape, scale.heads, DIM)
    arrays = tuple(jnp.asarray(rng.standard_normal(shape), dtype) for _ in range(4))
    run = functools.partial(value_and_gradients, ids=ids)
    of_backend, of_dense = run(name, *arrays), run("dense", *arrays)
    names = ("value", "dq", "dk", "dv")
    errors = {
        key: largest_error(*both) for key, *both in zip(names, of_backend, of_dense, strict=True)
    }
    first = (ids == 1)[:, :, None, None]
    changed = [jnp.where(first, 50 * x + 3, x) for x in arrays[:3]]
    after = run(name, *changed, arrays[3])
    leaked = [jnp.where(first, 0, a - b) for a, b in zip(of_backend, after, strict=True)]
    return errors | {"leaked": max(float(jnp.abs(x).max()) for x in leaked)}


def value_and_gradients(name, q, k, v, cotangent, ids):
    """The output and the gradients of q, k and v."""

    @jax.jit
    def run(q, k, v, cotangent, ids):
        segments = {"q_segment_ids": ids, "kv_segment_ids": ids}
        attend = functools.partial(attention, **segments, implementation=name)
        out, pull_back = jax.vjp(attend, q, k, v)
        return out, *pull_back(cotangent)

    return run(q, k, v, cotangent, jnp.asarray(ids))


def largest_error(found: jax.Array, expected: jax.Array) -> float:
    """The largest error, relative to the largest expected value."""
    found, expected = (np.asarray(x, np.float32) for x in (found, expected))
    return float(np.abs(found - expected).max() / np.abs(expected).max())
