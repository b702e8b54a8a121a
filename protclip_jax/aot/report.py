"""Reports what a training step needs on abstract TPUs or GPUs: `train.py --aot=TOPOLOGY`.

It needs no data, weights or vocabulary, only the `[tpu]` or `[gpu-aot]` extra, whose compiler runs
on any CPU. Memory is that of the compiled program. FLOPs and communication are those of the traced
step (`jaxpr_cost`). Rates are upper bounds from the device's specification.
"""

import functools
import importlib.metadata
import json
import re
import sys
import time
from collections.abc import Mapping

import jax
import ml_collections

import protclip_jax.config.build as config_lib
from protclip_jax.aot import gpus
from protclip_jax.aot.expected_row import ExpectedRow, expected_row
from protclip_jax.aot.jaxpr_cost import Cost, cost
from protclip_jax.aot.plan import Plan, plan_step
from protclip_jax.aot.topology import Rates, platform_of, rates_of, topology_devices
from protclip_jax.attention.registry import named
from protclip_jax.training import flops
from protclip_jax.training.compilation import (
    MORE_MEMORY,
    OUT_OF_MEMORY,
    first_that_fits,
    hbm_bytes,
)

UNITS = r"([\d.]+)([KMGT])\b"
"""Sizes in the TPU compiler's messages."""

EPOCH_DRAWS = 1_215_000
"""An epoch of the paper's ProtAnno, used without a dataset: |Swiss-Prot| + Σ N · C^-3 · R^½ of
TrEMBL by the published shares, with confidence and coverage taken as independent. The real number
may be up to twice as large."""

COMPILERS = {"tpu": ("libtpu",), "gpu": ("jax-cuda13-plugin", "jax-cuda12-plugin")}
"""Packages that provide a platform's compiler; one of them is enough."""

READ_FROM_PROGRAM = (
    "remat",
    "hbm",
    "flops_per_device",
    "flops_per_pair",
    "attention_kernel_flops_per_device",
    "model_flops_per_device",
    "model_flops_share",
    "collective_bytes_per_device",
    "collective_bytes_if_scatters_are_sums",
    "collectives",
    "predicted_step_seconds",
    "mfu_bound",
    "pairs_per_second",
    "run_steps",
    "run_chip_hours",
    "compile_seconds",
)
"""Report fields that come from the compiled program. `model_flops_share` is the ratio of model
FLOPs (see `flops`) to the FLOPs that the program spends on real protein tokens.
`collective_bytes_per_device` is what the step requests, and the field after it what it sends if the
compiler turns every reduce-scatter into an all-reduce and a slice. `predicted_step_seconds` is the
time of the arithmetic at the peak rate, or of the requested communication if that is longer.
`run_chip_hours` counts hours of one TPU chip or one GPU."""


def report(config: ml_collections.ConfigDict, topology: str, plan: Plan) -> dict:
    """Compiles the step and reports its memory and FLOPs per device, and bounds on its rates.

    If the step does not fit, a TPU's compiler returns no program, and the fields that come from it
    are None. A GPU's compiler returns one that needs more memory than the device has.
    """
    rates, row = rates_of(topology), expected_row(config, plan.attention)
    found = _known_before(config, topology, plan, row) | dict.fromkeys(READ_FROM_PROGRAM)
    started = time.perf_counter()
    lowered = {name: functools.partial(_lowered, plan, name) for name in plan.candidates}
    try:
        policy, compiled = first_that_fits(lowered, rates.memory_bytes)
    except jax.errors.JaxRuntimeError as error:
        if (needed := needed_bytes(str(error), plan.argument_bytes)) is None:
            raise
        return found | {"fits": False, "hbm_bytes_per_device": needed}

    hbm = hbm_bytes(compiled)
    visits = functools.partial(named(plan.attention).visits, visited=row.visited)
    of_step = cost(plan.candidates[policy]().jaxpr, visits)
    return found | {
        "fits": sum(hbm.values()) <= rates.memory_bytes,
        "hbm_bytes_per_device": sum(hbm.values()),
        "remat": policy,
        "hbm": hbm,
        **_exchange(of_step),
        **_bounds(config, plan, row, of_step, rates),
        "compile_seconds": time.perf_counter() - started,
    }


def _known_before(
    config: ml_collections.ConfigDict, topology: str, plan: Plan, row: ExpectedRow
) -> dict:
    """The part of the report that does not need the compiler."""
    platform, rates = platform_of(topology), rates_of(topology)
    return {
        "topology": topology,
        "devices": plan.mesh.size,
        "mesh": dict(plan.mesh.shape),
        "attention": plan.attention,
        "hbm_capacity_bytes": rates.memory_bytes,
        "not_counted": list(gpus.NOT_COUNTED) if platform == "gpu" else [],
        "pairs_per_step": config.batch.rows * row.pairs,
        "expected_row": {
            "pairs": row.pairs,
            "protein_tokens": row.tokens["protein_tokens"],
            "text_tokens": row.tokens["text_tokens"],
            "visited_attention_blocks": {
                str(tokens): share for tokens, share in row.visited.items()
            },
        },
        "rates": {
            "peak_flops": rates.peak_flops,
            "link_bytes_per_second": rates.link_bytes,
        },
        "versions": _versions("jax", *COMPILERS[platform]),
    }


def _exchange(of_step: Cost) -> dict:
    """Bytes that a device sends, in total and by collective."""
    kinds, sent = of_step.bytes_sent, of_step.bytes_sent.total()
    collectives = {}
    for kind, size in kinds.items():
        collectives[kind] = {"bytes_sent": size, "largest": of_step.largest[kind]}
    return {
        "collective_bytes_per_device": sent,
        # In a ring, an all-reduce is a reduce-scatter followed by a gather of equal size.
        "collective_bytes_if_scatters_are_sums": sent + kinds["reduce-scatter"],
        "collectives": collectives,
    }


def _bounds(
    config: ml_collections.ConfigDict, plan: Plan, row: ExpectedRow, of_step: Cost, rates: Rates
) -> dict:
    """FLOPs, and lower bounds on the time for them and for communication."""
    devices, pairs = plan.mesh.size, config.batch.rows * row.pairs
    seconds = max(of_step.flops / rates.peak_flops, of_step.bytes_sent.total() / rates.link_bytes)
    objective = config_lib.objective_config(config)
    of_row = flops.step_flops(row.tokens, plan.network, objective, text_trained=plan.text_trained)
    model_flops = of_row * config.batch.rows / devices
    real = row.tokens["protein_tokens"] / config.batch.protein_tokens
    run_steps = config.total_steps or round(config.total_epochs * EPOCH_DRAWS / pairs)
    return {
        "flops_per_device": of_step.flops,
        "flops_per_pair": of_step.flops * devices / pairs,
        "attention_kernel_flops_per_device": of_step.kernel_flops,
        "model_flops_per_device": model_flops,
        "model_flops_share": model_flops / (of_step.flops * real),
        "predicted_step_seconds": seconds,
        "mfu_bound": model_flops / (seconds * rates.peak_flops),
        "pairs_per_second": pairs / seconds,
        "run_steps": run_steps,
        "run_chip_hours": run_steps * seconds * devices / 3600,
    }


def _lowered(plan: Plan, policy: str) -> jax.stages.Lowered:
    # Pallas looks up the kind of GPU in the mesh.
    with jax.set_mesh(plan.mesh):
        return plan.candidates[policy]().lower()


def _versions(*names: str) -> Mapping[str, str]:
    """Versions of the packages that are installed."""
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def needed_bytes(message: str, argument_bytes: int) -> int | None:
    """Bytes per device that a step needs, parsed from a TPU compiler's out-of-memory message.

    One form of the message counts everything, the other only temporaries, to which the arguments
    are added. Returns None for any other message.
    """
    of_all, of_temporaries = (
        re.search(pattern + UNITS, message) for pattern in ("Used ", r"HLO temporaries \(")
    )
    used = of_all or of_temporaries
    if OUT_OF_MEMORY not in message or used is None:
        return None
    found = int(float(used[1]) * 2 ** (10 * ("KMGT".index(used[2]) + 1)))
    return found if of_all else found + argument_bytes


def run(config: ml_collections.ConfigDict, topology: str) -> int:
    """Prints the report as one JSON object; returns 0, or 1 if the step does not fit."""
    # JAX must not look for anything but the host's CPU.
    jax.config.update("jax_platforms", "cpu")
    found = report(config, topology, plan_step(config, topology_devices(topology)))
    if not found["fits"]:
        lacking = (found["hbm_bytes_per_device"] - found["hbm_capacity_bytes"]) / 2**30
        print(
            f"error: the step needs {lacking:.2f} GiB more than a {topology} device has; "
            f"{MORE_MEMORY}",
            file=sys.stderr,
        )
    print(json.dumps(found, indent=2))
    return 0 if found["fits"] else 1
