"""Memory of the real training step on this device, compared with `train.py --aot`'s prediction."""

import json
import os
import pathlib
import re
import subprocess
import sys

import jax
import jax.numpy as jnp

from benchmarks.gpu.scale import Scale
from benchmarks.train_step import measured_peak
from configs import protclip_650m_gpu, quickstart
from protclip_jax.aot import gpus
from protclip_jax.aot.plan import plan_step
from protclip_jax.distributed.chips import GPUS
from protclip_jax.training.compilation import hbm_bytes

ROOT = pathlib.Path(__file__).parents[2]
CONFIGS = {"full": protclip_650m_gpu, "tiny": quickstart}


def measure(scale: Scale) -> dict:
    """Bytes predicted by `--aot`, by the compiler on the device, and peak use in a step."""
    name = "full" if scale.protein == "650m" else "tiny"
    config = CONFIGS[name].get_config()
    config.model.remat = scale.remat
    kind = described_kind()
    return {
        "aot_bytes": kind and of_aot(f"{kind}:1", CONFIGS[name].__file__, scale.remat),
        **of_device(config),
        "kind": kind,
    }


def of_device(config) -> dict:
    """Compiles the step for the device and runs it on zeros."""
    plan = plan_step(config, jax.devices()[:1])
    (traced,) = plan.candidates.values()
    with jax.set_mesh(plan.mesh):
        step = traced().lower().compile()
    arguments = jax.tree.map(zeros, plan.arguments)
    before = measured_peak()
    jax.block_until_ready(step(*arguments))
    return {
        "program_bytes": sum(hbm_bytes(step).values()),
        "peak_gb": measured_peak(),
        "before_gb": before,
    }


def zeros(like: jax.ShapeDtypeStruct) -> jax.Array:
    """Zeros with the shape, dtype and sharding of `like`."""
    return jnp.zeros(like.shape, like.dtype, device=like.sharding)


def of_aot(topology: str, config: str, remat: str) -> int:
    """The prediction of `--aot`, from a process that sees no GPU."""
    command = [sys.executable, "train.py", "--config", config, f"--aot={topology}"]
    done = subprocess.run(
        [*command, f"--config.model.remat={remat}"],
        cwd=ROOT,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        stdout=subprocess.PIPE,
        text=True,
    )
    if done.returncode not in (0, 1):
        raise SystemExit(f"{' '.join(command)} failed with exit code {done.returncode}")
    return json.loads(done.stdout)["hbm_bytes_per_device"]


def described_kind() -> str | None:
    """The device's name in `chips.GPUS`; among several, the one with the closest memory size."""
    device = jax.devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit", 0)
    kinds = [kind for kind, gpu in GPUS.items() if re.match(rf"{gpu.name}\b", device.device_kind)]
    return min(kinds, key=lambda kind: abs(gpus.usable_bytes(GPUS[kind]) - limit), default=None)
