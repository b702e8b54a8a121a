"""Compiles the attention kernels and a training step for absent GPUs: a table by card and dtype.

    python -m benchmarks.gpu_cards [--cards NAME…] [--output cards.json]

The step is that of `configs/protclip_650m_gpu.py` with its widths, two layers per tower, eight rows
and only the contrastive loss. That covers every kind of kernel that depends on the card, in a tenth
of the time. Nothing is executed. Needs the `[gpu-aot]` extra.
"""

import argparse
import json
import pathlib
import re
import tempfile

import jax
import jax.numpy as jnp

from configs import protclip_650m_gpu
from protclip_jax.aot.plan import Plan, plan_step
from protclip_jax.aot.topology import topology_devices
from protclip_jax.attention.registry import BACKENDS
from protclip_jax.distributed.chips import GPUS
from protclip_jax.training.compilation import hbm_bytes

CARDS = ("t4", "a10g", "l4", "l40s", "rtx4090", "rtx5090", "a100", "h100", "h200", "b200")
DTYPES = ("bfloat16", "float32")
COLUMNS = ("card", "capability", "dtype", "attention", "step GB", "kernels' shared KB", "spills")


def small_step(dtype: str, device: jax.Device) -> Plan:
    """Plans the reduced step for one device."""
    config = protclip_650m_gpu.get_config()
    config.batch.update(rows=8, microbatch_rows=0)
    config.loss.update(bsr=0.0, mlm=0.0, pda=0.0)
    config.model.update(dtype=dtype, remat="full")
    config.model.protein.num_layers = config.model.text.num_layers = 2
    return plan_step(config, [device])


def compile_card(card: str, dtype: str) -> dict:
    """Compiles the step and the kernels for one card and dtype."""
    (device,) = topology_devices(f"{card}:1")
    plan = small_step(dtype, device)
    (traced,) = plan.candidates.values()
    with jax.set_mesh(plan.mesh):
        step = traced().lower().compile()
        kernels = compile_kernels(dtype, plan.mesh) if plan.attention == "triton" else {}
    return {
        "attention": plan.attention,
        "step_bytes": sum(hbm_bytes(step).values()),
        **kernels,
    }


def compile_kernels(dtype: str, mesh: jax.sharding.Mesh) -> dict:
    """The kernels' shared memory, forward and backward, and whether any spills registers."""
    with tempfile.TemporaryDirectory() as folder:
        attention_step(dtype, mesh).compile({"xla_dump_to": folder})
        largest = max(shared_bytes(pathlib.Path(folder)).values())
    try:
        option = {"xla_gpu_fail_ptx_compilation_on_register_spilling": True}
        attention_step(dtype, mesh).compile(option)
    except jax.errors.JaxRuntimeError as error:
        if "register spilling" not in str(error):
            raise
        return {"shared_bytes": largest, "spills": True}
    return {"shared_bytes": largest, "spills": False}


def shared_bytes(folder: pathlib.Path) -> dict[str, int]:
    """The shared memory of each kernel, from the plan that the compiler dumped in `folder`."""
    (plan,) = folder.glob("*.thunk_sequence.txt")
    found = re.findall(r"(_\w+_kernel) grid.*shared_memory: (\d+)", plan.read_text())
    return {name: int(size) for name, size in found}


def attention_step(dtype: str, mesh: jax.sharding.Mesh) -> jax.stages.Lowered:
    """Lowers attention with heads of 64 and its gradients."""
    place = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    x = jax.ShapeDtypeStruct((2, 512, 4, 64), dtype, sharding=place)
    ids = jax.ShapeDtypeStruct((2, 512), jnp.int32, sharding=place)

    def loss(q, k, v, ids):
        out = BACKENDS["triton"].attend(q, k, v, q_segment_ids=ids, kv_segment_ids=ids)
        return out.astype(jnp.float32).sum()

    return jax.jit(jax.grad(loss, (0, 1, 2))).lower(x, x, x, ids)


def row(card: str, dtype: str, found: dict) -> str:
    """Formats a table row."""
    capability = ".".join(map(str, GPUS[card].capability))
    shared = f"{found['shared_bytes'] / 1024:.0f}" if "shared_bytes" in found else "–"
    spills = {True: "yes", False: "none", None: "–"}[found.get("spills")]
    step = f"{found['step_bytes'] / 1e9:.2f}"
    cells = (card, capability, dtype, found["attention"], step, shared, spills)
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Runs the benchmark with the options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n\n")[0])
    parser.add_argument(
        "--cards",
        nargs="+",
        choices=GPUS,
        default=CARDS,
        metavar="NAME",
        help=f"cards to compile for (default: {' '.join(CARDS)})",
    )
    parser.add_argument("--output", type=pathlib.Path, help="JSON file to write")
    arguments = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|", flush=True)
    reports = {}
    for card in arguments.cards:
        for dtype in DTYPES:
            found = reports[f"{card} {dtype}"] = compile_card(card, dtype)
            print(row(card, dtype, found), flush=True)
    if arguments.output:
        arguments.output.write_text(json.dumps(reports, indent=2) + "\n")


if __name__ == "__main__":
    main()
