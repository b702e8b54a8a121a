"""Abstract devices from a name such as `v5e:8x8` or `h100:8x2`."""

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
"""GPUs per host, and number of hosts."""

LACKING = "not installed|Unknown backend|not implemented|no PJRT plugin"
"""Matches JAX's messages when the compiler is missing."""


class Rates(NamedTuple):
    """Specified limits of one device in a topology."""

    peak_flops: float
    """Peak of dense bfloat16 products."""
    memory_bytes: int
    """Memory that a program may use."""
    link_bytes: float
    """Bytes per second in one direction, over all links, or over the network between GPU hosts."""


def platform_of(topology: str) -> str:
    """Platform of a topology: 'gpu' or 'tpu'."""
    return "gpu" if topology.partition(":")[0] in GPUS else "tpu"


def rates_of(topology: str) -> Rates:
    """The rates of a topology that `topology_devices` accepts."""
    kind, _, shape = topology.partition(":")
    if kind in TPUS:
        tpu = TPUS[kind]
        return Rates(tpu.peak_flops, tpu.hbm_bytes, tpu.link_bytes)
    gpu, (_, hosts) = GPUS[kind], _gpu_shape(shape)
    link = gpu.link_bytes if hosts == 1 else min(gpu.link_bytes, gpus.NETWORK_BYTES)
    return Rates(gpu.peak_flops, gpus.usable_bytes(gpu), link)


def topology_devices(topology: str) -> list[jax.Device]:
    """The abstract devices of a topology.

    Raises:
      UserError: the topology is unknown, or its compiler is not installed.
    """
    kind, _, shape = topology.partition(":")
    platform = platform_of(topology)
    pattern = {"gpu": GPU_SHAPE, "tpu": TPU_SHAPE}[platform]
    if kind not in GPUS | TPUS or not re.fullmatch(pattern, shape):
        raise _unknown(topology, f"known devices: {', '.join(TPUS | GPUS)}")
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
    return UserError(f"unknown topology --aot={topology}; expected one {examples} ({reason}).")


def _gpu_shape(shape: str) -> tuple[int, int]:
    of_host, hosts = re.fullmatch(GPU_SHAPE, shape).groups()
    return int(of_host), int(hosts or 1)


def _tpus(topology: str) -> list[jax.Device]:
    # Only the compiler is needed: do not query a metadata server, and do not lock devices.
    os.environ |= {
        "TPU_SKIP_MDS_QUERY": "1",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
        "TPU_WORKER_HOSTNAMES": "localhost",
    }
    os.environ.setdefault("TPU_ACCELERATOR_TYPE", f"{topology.partition(':')[0]}-1")
    from jax.experimental import topologies

    found = topologies.get_topology_desc(platform="tpu", topology_name=topology)
    return list(found.devices)
