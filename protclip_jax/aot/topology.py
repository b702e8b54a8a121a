"""Devices that are not there, by a name such as `v5e:8x8` or `h100:8x2`."""

import os
import re
from typing import NamedTuple

import jax

from data_pipelines.common.errors import UserError
from data_pipelines.common.extras import missing_extra
from protclip_jax.aot import gpus
from protclip_jax.distributed.chips import GPUS, TPUS

TPU_SHAPE = r"\d+x\d+(x\d+)?"
GPU_SHAPE = r"([1-9]\d*)(?:x([1-9]\d*))?"
"""GPUs of a host, and hosts."""

LACKING = "not installed|Unknown backend|not implemented|no PJRT plugin"
"""In what JAX says without the compiler."""


class Rates(NamedTuple):
    """What bounds a step on one device of a topology, as its maker states it."""

    peak_flops: float
    """Dense bfloat16."""
    memory_bytes: int
    """What a program may use."""
    link_bytes: float
    """A second in one direction, over all links or, between hosts of GPUs, the network."""


def platform_of(topology: str) -> str:
    """'gpu' or 'tpu'."""
    return "gpu" if topology.partition(":")[0] in GPUS else "tpu"


def rates_of(topology: str) -> Rates:
    """The rates of a topology that `topology_devices` knows."""
    kind, _, shape = topology.partition(":")
    if kind in TPUS:
        tpu = TPUS[kind]
        return Rates(tpu.peak_flops, tpu.hbm_bytes, tpu.link_bytes)
    gpu, (_, hosts) = GPUS[kind], _gpu_shape(shape)
    link = gpu.link_bytes if hosts == 1 else min(gpu.link_bytes, gpus.NETWORK_BYTES)
    return Rates(gpu.peak_flops, gpus.usable_bytes(gpu), link)


def topology_devices(topology: str) -> list[jax.Device]:
    """The devices of a topology; the compiler stands in for them.

    Raises:
      UserError: the topology is unknown or its compiler is not installed.
    """
    kind, _, shape = topology.partition(":")
    platform = platform_of(topology)
    pattern = {"gpu": GPU_SHAPE, "tpu": TPU_SHAPE}[platform]
    if kind not in GPUS | TPUS or not re.fullmatch(pattern, shape):
        raise _unknown(topology, f"devices known here are {', '.join(TPUS | GPUS)}")
    try:
        return gpus.devices(kind, *_gpu_shape(shape)) if platform == "gpu" else _tpus(topology)
    except Exception as error:
        if isinstance(error, ImportError) or re.search(LACKING, str(error)):
            extra = {"gpu": "gpu-aot", "tpu": "tpu"}[platform]
            needed = f"--aot={topology} needs the {platform.upper()} compiler"
            raise missing_extra(needed, extra, error) from error
        raise _unknown(topology, str(error)) from error


def _unknown(topology: str, reason: str) -> UserError:
    examples = "such as v5e:8x8, v5p:4x4x4, h100:8 or h100:8x2"
    return UserError(f"--aot={topology} is no topology, {examples} ({reason}).")


def _gpu_shape(shape: str) -> tuple[int, int]:
    of_host, hosts = re.fullmatch(GPU_SHAPE, shape).groups()
    return int(of_host), int(hosts or 1)


def _tpus(topology: str) -> list[jax.Device]:
    # The compiler alone is wanted: no question to a metadata server, no lock on devices that are
    # not there.
    os.environ |= {
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", f"{topology.partition(':')[0]}-1")
    from jax.experimental import topologies

    found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    return list(found.devices)
