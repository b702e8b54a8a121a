"""Compares this machine's attention backend (blockwise, triton, splash) with dense, on packed rows.

    MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=40000000000 \\
        python -m benchmarks.attention --output attention.json

Prints a table and writes JSON. Without the two variables, the C library hands large arrays back to
the kernel after each call, which costs dense attention more than its arithmetic. The JSON records
whether they were set. The implementations alternate call by call in one process. Each figure is the
minimum of all repeats: wall-clock seconds, and CPU seconds over all threads, which suffer less from
other load on the machine.
"""

import argparse
import json
import os
import time
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipelines.common.errors import command
from protclip_jax.attention import attention
from protclip_jax.attention.registry import AUTO, BACKENDS, backend_for
from protclip_jax.config.build import own_target


class Shape(NamedTuple):
    """Packed rows with `heads` × `dim` queries and keys, in segments of log-normal lengths."""

    rows: int
    q_length: int
    q_median: int
    kv_length: int
    kv_median: int
    heads: int
    dim: int


SHAPES = {
    "quickstart": Shape(8, 512, 80, 512, 80, heads=4, dim=32),
    "esm2_8m": Shape(4, 2048, 300, 2048, 300, heads=20, dim=16),
    "esm2_650m": Shape(1, 2048, 300, 2048, 300, heads=20, dim=64),
    "text": Shape(2, 1536, 60, 1536, 60, heads=12, dim=64),
    "cross": Shape(4, 2048, 300, 1536, 220, heads=1, dim=512),
}
SIGMA = 0.6
"""Standard deviation of the logarithm of segment lengths, as in UniProt."""
MALLOC_VARIABLES = ("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_")


def packed_ids(rng: np.random.Generator, *, rows: int, length: int, median: int) -> np.ndarray:
    """Draws ascending segment ids, int32 [rows, length]; fills each row until a segment overflows.

    Lengths are log-normal, and the rest of a row is padding.
    """
    ids = np.zeros((rows, length), np.int32)
    for row in ids:
        lengths = np.maximum(rng.lognormal(np.log(median), SIGMA, size=length), 1).astype(int)
        ends = np.cumsum(lengths)
        for segment in range(1, 1 + max(1, np.searchsorted(ends, length, side="right"))):
            row[ends[segment - 1] - lengths[segment - 1] : ends[segment - 1]] = segment
    return ids


def passes(implementation: str, qkv, cotangent, q_ids, kv_ids) -> dict[str, Callable]:
    """Compiles the forward, and the forward and backward pass, as functions without arguments."""

    def attend(qkv, q_ids, kv_ids):
        return attention(
            *qkv, q_segment_ids=q_ids, kv_segment_ids=kv_ids, implementation=implementation
        )

    def with_gradients(qkv, cotangent, q_ids, kv_ids):
        out, pull_back = jax.vjp(lambda *qkv: attend(qkv, q_ids, kv_ids), *qkv)
        return out, pull_back(cotangent)

    forward, both = jax.jit(attend), jax.jit(with_gradients)
    return {
        "forward": lambda: forward(qkv, q_ids, kv_ids),
        "forward_backward": lambda: both(qkv, cotangent, q_ids, kv_ids),
    }


def alternate(functions: dict[str, Callable], *, repeats: int) -> dict[str, dict[str, float]]:
    """Measures each function in turn; returns the minimum wall and CPU milliseconds.

    The first call of each, which compiles, is not counted.
    """
    best = {name: {"wall_ms": float("inf"), "cpu_ms": float("inf")} for name in functions}
    for function in functions.values():
        jax.block_until_ready(function())
    for _ in range(repeats):
        for name, function in functions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            jax.block_until_ready(function())
            elapsed = {"wall_ms": time.perf_counter() - wall, "cpu_ms": time.process_time() - cpu}
            for clock, seconds in elapsed.items():
                best[name][clock] = min(best[name][clock], 1e3 * seconds)
    return best


def measure(shape: Shape, implementation: str, *, dtype: str, repeats: int, seed: int) -> dict:
    """Measures dense attention and the implementation for both passes, with their ratios."""
    rng = np.random.default_rng(seed)
    q_ids = packed_ids(rng, rows=shape.rows, length=shape.q_length, median=shape.q_median)
    kv_ids = q_ids
    if shape.kv_length != shape.q_length:
        kv_ids = packed_ids(rng, rows=shape.rows, length=shape.kv_length, median=shape.kv_median)
    shapes = [(*ids.shape, shape.heads, shape.dim) for ids in (q_ids, kv_ids, kv_ids, q_ids)]
    *qkv, cotangent = (jnp.asarray(rng.standard_normal(size), dtype) for size in shapes)
    runs = {name: passes(name, qkv, cotangent, q_ids, kv_ids) for name in ("dense", implementation)}
    result = {"shape": shape._asdict(), "segments_per_row": float(q_ids.max(axis=1).mean())}
    for name in ("forward", "forward_backward"):
        best = alternate({of: run[name] for of, run in runs.items()}, repeats=repeats)
        ratios = {
            clock: best["dense"][clock] / best[implementation][clock]
            for clock in ("wall_ms", "cpu_ms")
        }
        result[name] = {
            **best,
            "dense_over_other": {"wall": ratios["wall_ms"], "cpu": ratios["cpu_ms"]},
        }
    return result


@command
def main(arguments: list[str] | None = None) -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--shapes",
        nargs="+",
        choices=SHAPES,
        default=list(SHAPES),
        help="shapes to measure (default: all)",
    )
    parser.add_argument(
        "--implementation",
        choices=BACKENDS,
        help="backend to compare with dense (default: that of training)",
    )
    parser.add_argument(
        "--dtype", choices=("float32", "bfloat16"), default="float32", help="(default: float32)"
    )
    parser.add_argument(
        "--repeats", type=int, default=5, help="timed calls per implementation (default: 5)"
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="seed of segment lengths and inputs (default: 0)"
    )
    parser.add_argument("--output", help="JSON file to write")
    options = parser.parse_args(arguments)

    other = options.implementation or backend_for(AUTO, own_target(), options.dtype)
    environment = {name: os.environ.get(name) for name in MALLOC_VARIABLES}
    report = {
        "jax": jax.__version__,
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "environment": environment,
        "implementation": other,
        "dtype": options.dtype,
    }
    columns = f"{'shape':<11} {'pass':<16} {'dense ms':>9} {other + ' ms':>12} {'ratio':>6}"
    print(f"{columns} {'CPU ratio':>9}")
    for name in options.shapes:
        if name == "cross" and BACKENDS[other].cross_attention:
            continue
        report[name] = measure(
            SHAPES[name], other, dtype=options.dtype, repeats=options.repeats, seed=options.seed
        )
        for run in ("forward", "forward_backward"):
            row = report[name][run]
            milliseconds = f"{row['dense']['wall_ms']:>9.1f} {row[other]['wall_ms']:>12.1f}"
            ratio = row["dense_over_other"]
            print(
                f"{name:<11} {run:<16} {milliseconds} {ratio['wall']:>6.1f} {ratio['cpu']:>9.1f}",
                flush=True,
            )
    if options.output:
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)


if __name__ == "__main__":
    raise SystemExit(main())
