"""Compiles the real training step for TPUs that are not there, and says what it takes: `train.py --aot=TOPOLOGY`.

Needs no data, weights or vocabulary: only the `[tpu]` extra, whose compiler runs on any CPU. Memory
is the compiled program's; FLOPs and exchange are what the traced step asks for (`jaxpr_cost`);
rates are the bounds that the maker's figures give.
"""

import dataclasses
import functools
import importlib.metadata
import json
import math
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import ml_collections
from jax.extend.core import JaxprEqn

import protclip_jax.config.build as config_lib
from data_pipelines.common.errors import UserError
from data_pipelines.common.extras import missing_extra
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from data_pipelines.training.batch import Batch
from data_pipelines.training.examples import Example
from data_pipelines.training.packing import pack_rows
from data_pipelines.training.synthetic import synthetic_rows
from protclip_jax.aot.jaxpr_cost import Visits, cost
from protclip_jax.attention import splash
from protclip_jax.distributed import sharding
from protclip_jax.models.protclip import ProtCLIPConfig, ProtCLIPModel
from protclip_jax.training import flops
from protclip_jax.training.compilation import MORE_MEMORY, OUT_OF_MEMORY, first_that_fits, hbm_bytes
from protclip_jax.training.initial_state import abstract_state
from protclip_jax.training.run_gradients import make_run_gradients
from protclip_jax.training.train_step import make_train_step

TEXT_VOCAB_SIZE = 30_522
"""PubMedBERT's, where the config names no vocabulary."""

UNITS = r"([\d.]+)([KMGT])\b"
"""How the compiler writes a size."""

EPOCH_DRAWS = 1_215_000
"""An epoch of the paper's ProtAnno, where no dataset is at hand: |Swiss-Prot| + Σ N · C^-3 · R^½ of
TrEMBL by the published shares, confidence and coverage taken as independent. It may be up to twice as
many."""

SAMPLED_ROWS = 512
"""Rows of synthetic records that the expected contents of a row are taken from."""


class Chip(NamedTuple):
    """A TPU chip as its maker states it (cloud.google.com/tpu/docs, pages v4, v5e, v5p and v6e)."""

    peak_flops: float
    """Dense bfloat16."""
    hbm_bytes: int
    """What the compiler lets a program use: the capacity less a quarter GiB that the system keeps."""
    link_bytes: float
    """A second, all links of the chip in one direction."""


CHIPS = {
    "v4": Chip(275e12, int(31.75 * 2**30), 300e9),
    "v5e": Chip(197e12, int(15.75 * 2**30), 200e9),
    "v5p": Chip(459e12, int(94.75 * 2**30), 600e9),
    "v6e": Chip(918e12, int(31.25 * 2**30), 400e9),
}


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
"""Of the report. `model_flops_share` is that of the model's FLOPs (see `flops`) in those that the program spends on real
protein tokens. `collective_bytes_per_device` is what the step asks for; the field after it is what
is sent where the compiler writes every reduce-scatter as an all-reduce and a slice.
`predicted_step_seconds` is what the arithmetic takes at the peak rate, or the exchange asked for if
that takes longer."""


@dataclasses.dataclass(frozen=True)
class ExpectedRow:
    """Means over packed rows of records of UniProt's lengths (`data_pipelines.training.synthetic`)."""

    pairs: float
    tokens: Mapping[str, float]
    """As `flops.count_tokens`."""
    visited: Mapping[int, float]
    """By the row's tokens: the share of pairs of attention blocks that share a segment."""


def expected_row(config: ml_collections.ConfigDict) -> ExpectedRow:
    """What a row of the config's shape holds."""
    rows = synthetic_rows(
        SAMPLED_ROWS,
        seed=0,
        slots=config.batch.slots,
        protein_tokens=config.batch.protein_tokens,
        text_tokens=config.batch.text_tokens,
        max_protein_tokens=config.tokenizer.max_protein_tokens,
        max_text_tokens=config.tokenizer.max_text_tokens,
        text_vocab_size=TEXT_VOCAB_SIZE,
        passes=config.masking.passes,
    )
    batch = _packed(rows, config)
    tokens = {name: count / SAMPLED_ROWS for name, count in flops.count_tokens(batch).items()}
    streams = (batch.protein_slot_ids, batch.text_segment_ids)
    return ExpectedRow(
        batch.slot_mask.sum() / SAMPLED_ROWS, tokens, {len(ids[0]): splash.visited_share(ids) for ids in streams}
    )


class Plan(NamedTuple):
    """A training step for devices that are not there."""

    candidates: Mapping[str, Callable[[], jax.stages.Traced]]
    """The step with each remat policy that the config allows, traced when first called."""
    argument_bytes: int
    """Of its state and batch, on each device."""
    mesh: jax.sharding.Mesh
    network: ProtCLIPConfig
    text_trained: bool


def plan_step(config: ml_collections.ConfigDict, topology: str) -> Plan:
    """The training step of a config for the topology's devices.

    Raises:
      UserError: the topology is unknown, libtpu is not installed, or the config does not go with so many devices.
    """
    mesh = sharding.make_mesh(config.mesh.data, config.mesh.fsdp, devices=topology_devices(topology))
    vocabulary = config.tokenizer.text
    size = TEXT_VOCAB_SIZE if vocabulary is None else len(TextTokenizer.load(vocabulary).vocabulary)
    network = config_lib.model_config(config, text_vocab_size=size, platform="tpu")
    objective = config_lib.objective_config(config)
    # The number of steps is a constant of the schedule and costs nothing.
    model = ProtCLIPModel(network)
    state, optimizer = abstract_state(model, config, mesh, total_steps=config.total_steps or 1)
    rows, by_rows = config.batch.rows, sharding.rows_sharding(mesh)
    sharding.local_rows(mesh, rows)
    batch = jax.tree.map(lambda x: jax.ShapeDtypeStruct((rows, *x.shape[1:]), x.dtype, sharding=by_rows), _packed([[]], config))

    @functools.cache
    def traced(policy):
        model = ProtCLIPModel(network.with_remat(policy))
        gradients = make_run_gradients(model, state, config, objective)
        with jax.set_mesh(mesh):
            return make_train_step(gradients, optimizer, state, config.ema.decay).trace(state, batch)

    policies = config_lib.remat_policies(config)
    candidates = {policy: functools.partial(traced, policy) for policy in policies}
    arguments = jax.tree.leaves((state, batch))
    held = sum(math.prod(x.sharding.shard_shape(x.shape)) * x.dtype.itemsize for x in arguments)
    return Plan(candidates, held, mesh, network, state.trains_text)


def _packed(rows: list[list[Example]], config: ml_collections.ConfigDict) -> Batch:
    shape = config.batch
    return pack_rows(rows, slots=shape.slots, protein_tokens=shape.protein_tokens, text_tokens=shape.text_tokens)


def topology_devices(topology: str) -> list[jax.Device]:
    """The devices of a topology such as `v5e:8x8`; the compiler stands in for them.

    Raises:
      UserError: the topology is unknown or libtpu is not installed.
    """
    # The compiler alone is wanted: no question to a metadata server, no lock on devices that are not there.
    os.environ |= {"TPU_SKIP_MDS_QUERY": "1", "ALLOW_MULTIPLE_LIBTPU_LOAD": "1", "TPU_WORKER_HOSTNAMES": "localhost"}
    from jax.experimental import topologies

    kind = topology.partition(":")[0]
    try:
        if kind not in CHIPS or not re.fullmatch(r"\w+:\d+x\d+(x\d+)?", topology):
            raise ValueError(f"chips known here are {', '.join(CHIPS)}")
        os.environ.setdefault("TPU_ACCELERATOR_TYPE", f"{kind}-1")
        return list(topologies.get_topology_desc(platform="tpu", topology_name=topology).devices)
    except Exception as error:
        if isinstance(error, ImportError) or "not installed" in str(error):
            raise missing_extra("--aot needs the TPU compiler", "tpu", error) from error
        raise UserError(f"--aot={topology} is no topology, such as v5e:8x8 or v5p:4x4x4 ({error}).") from error


def splash_visits(visited: Mapping[int, float]) -> Visits:
    """Of splash attention: rows of so many tokens visit such shares of the pairs of blocks."""

    def share(kernel: JaxprEqn) -> float:
        blocks, *others = (x.aval.shape for x in kernel.invars)
        _, sequence, _ = next(shape for shape in others if len(shape) == 3 and shape != blocks)
        # A row's blocks are the shorter side: the sequence is all rows, end to end.
        return visited[sequence * min(blocks[1:]) // max(blocks[1:])]

    return share


def report(config: ml_collections.ConfigDict, topology: str, plan: Plan) -> dict:
    """What the step takes of each device, and the rates that its maker's figures bound. Compiles it.

    Where the step does not fit, the compiler gives no program: what would be read from it is None.
    """
    chip, row, devices = _chip(topology), expected_row(config), plan.mesh.size
    pairs = config.batch.rows * row.pairs
    found = {
        "topology": topology,
        "devices": devices,
        "mesh": dict(plan.mesh.shape),
        "hbm_capacity_bytes": chip.hbm_bytes,
        "pairs_per_step": pairs,
        "expected_row": {
            "pairs": row.pairs,
            "protein_tokens": row.tokens["protein_tokens"],
            "text_tokens": row.tokens["text_tokens"],
            "visited_attention_blocks": {str(tokens): share for tokens, share in row.visited.items()},
        },
        "rates": {"peak_flops": chip.peak_flops, "link_bytes_per_second": chip.link_bytes},
        "versions": {name: importlib.metadata.version(name) for name in ("jax", "libtpu")},
        **dict.fromkeys(READ_FROM_PROGRAM),
    }
    started = time.perf_counter()
    steps = plan.candidates.items()
    lowered = {policy: functools.partial(_lowered, traced) for policy, traced in steps}
    try:
        policy, compiled = first_that_fits(lowered, chip.hbm_bytes)
    except jax.errors.JaxRuntimeError as error:
        if (needed := needed_bytes(str(error), plan.argument_bytes)) is None:
            raise
        return found | {"fits": False, "hbm_bytes_per_device": needed}

    hbm = hbm_bytes(compiled)
    of_step = cost(plan.candidates[policy]().jaxpr, splash_visits(row.visited))
    kinds, sent = of_step.bytes_sent, of_step.bytes_sent.total()
    seconds = max(of_step.flops / chip.peak_flops, sent / chip.link_bytes)
    objective = config_lib.objective_config(config)
    of_row = flops.step_flops(row.tokens, plan.network, objective, text_trained=plan.text_trained)
    model_flops = of_row * config.batch.rows / devices
    real = row.tokens["protein_tokens"] / config.batch.protein_tokens
    run_steps = config.total_steps or round(config.total_epochs * EPOCH_DRAWS / pairs)
    return found | {
        "fits": sum(hbm.values()) <= chip.hbm_bytes,
        "hbm_bytes_per_device": sum(hbm.values()),
        "remat": policy,
        "hbm": hbm,
        "flops_per_device": of_step.flops,
        "flops_per_pair": of_step.flops * devices / pairs,
        "attention_kernel_flops_per_device": of_step.kernel_flops,
        "model_flops_per_device": model_flops,
        "model_flops_share": model_flops / (of_step.flops * real),
        "collective_bytes_per_device": sent,
        # In a ring an all-reduce is a reduce-scatter, then a gather of as many bytes.
        "collective_bytes_if_scatters_are_sums": sent + kinds["reduce-scatter"],
        "collectives": {
            kind: {
                "bytes_sent": size,
                "largest": of_step.largest[kind],
            }
            for kind, size in kinds.items()
        },
        "predicted_step_seconds": seconds,
        "mfu_bound": model_flops / (seconds * chip.peak_flops),
        "pairs_per_second": pairs / seconds,
        "run_steps": run_steps,
        "run_chip_hours": run_steps * seconds * devices / 3600,
        "compile_seconds": time.perf_counter() - started,
    }


def _lowered(traced: Callable[[], jax.stages.Traced]) -> jax.stages.Lowered:
    return traced().lower()


def needed_bytes(message: str, argument_bytes: int) -> int | None:
    """What a step takes of each device by the compiler's message that it does not fit; None of any other message.

    One form of the message counts all, the other only temporaries, beside which stand the arguments.
    """
    of_all, of_temporaries = (re.search(pattern + UNITS, message) for pattern in ("Used ", r"HLO temporaries \("))
    used = of_all or of_temporaries
    if OUT_OF_MEMORY not in message or used is None:
        return None
    found = int(float(used[1]) * 2 ** (10 * ("KMGT".index(used[2]) + 1)))
    return found if of_all else found + argument_bytes


def _chip(topology: str) -> Chip:
    return CHIPS[topology.partition(":")[0]]


def run(config: ml_collections.ConfigDict, topology: str) -> int:
    """Prints the report as one JSON object; returns 0, or 1 where the step does not fit."""
    # The host's CPU is all that JAX may look for.
    jax.config.update("jax_platforms", "cpu")
    found = report(config, topology, plan_step(config, topology))
    if not found["fits"]:
        lacking = (found["hbm_bytes_per_device"] - found["hbm_capacity_bytes"]) / 2**30
        print(
            f"error: the step needs {lacking:.2f} GiB more than a {topology} device has; {MORE_MEMORY}",
            file=sys.stderr,
        )
    print(json.dumps(found, indent=2))
    return 0 if found["fits"] else 1
