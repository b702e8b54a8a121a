"""Accelerators by their makers' specifications. To add one, add an entry here."""

import re
from typing import NamedTuple

GIB = 2**30


class Tpu(NamedTuple):
    """A TPU chip (cloud.google.com/tpu/docs, pages v4, v5e, v5p and v6e)."""

    names: tuple[str, ...]
    """Prefixes of JAX's `device_kind`."""
    peak_flops: float
    """Peak of dense bfloat16 products."""
    hbm_bytes: int
    """Memory that the compiler lets a program use: the capacity minus a quarter GiB that the system
    reserves."""
    link_bytes: float
    """Bytes per second over all links of the chip, in one direction."""


class Multiprocessor(NamedTuple):
    """A multiprocessor by compute capability (CUDA programming guide, technical specifications)."""

    threads: int
    fp32_units: int
    shared_bytes: int
    shared_bytes_of_block: int
    """Maximum shared memory per block."""


class Gpu(NamedTuple):
    """An NVIDIA GPU, from its data sheet."""

    name: str
    """Prefix of JAX's `device_kind`."""
    capability: tuple[int, int]
    multiprocessors: int
    clock_ghz: float
    """Boost clock."""
    l2_mib: int
    memory_gib: float
    """Capacity reported by the driver, slightly less than advertised."""
    memory_bytes_per_second: float
    peak_flops: float
    """Peak of dense bfloat16 products accumulated in float32."""
    link_bytes: float
    """Bytes per second in one direction, over NVLink, or PCIe on cards without NVLink."""


TPUS = {
    "v4": Tpu(("TPU v4",), 275e12, int(31.75 * GIB), 300e9),
    "v5e": Tpu(("TPU v5 lite", "TPU v5e"), 197e12, int(15.75 * GIB), 200e9),
    "v5p": Tpu(("TPU v5", "TPU v5p"), 459e12, int(94.75 * GIB), 600e9),
    "v6e": Tpu(("TPU v6 lite", "TPU v6e"), 918e12, int(31.25 * GIB), 400e9),
}

MULTIPROCESSORS = {
    (7, 5): Multiprocessor(1024, 64, 64 * 1024, 64 * 1024),
    (8, 0): Multiprocessor(2048, 64, 164 * 1024, 163 * 1024),
    (8, 6): Multiprocessor(1536, 128, 100 * 1024, 99 * 1024),
    (8, 9): Multiprocessor(1536, 128, 100 * 1024, 99 * 1024),
    (9, 0): Multiprocessor(2048, 128, 228 * 1024, 227 * 1024),
    (10, 0): Multiprocessor(2048, 128, 228 * 1024, 227 * 1024),
    (12, 0): Multiprocessor(1536, 128, 100 * 1024, 99 * 1024),
}

PCIE_3, PCIE_4, PCIE_5 = 16e9, 32e9, 64e9

GPUS = {
    # Turing has no bfloat16 products; they run in float32, outside the tensor cores.
    "t4": Gpu("Tesla T4", (7, 5), 40, 1.59, 4, 14.7, 0.32e12, 8.1e12, PCIE_3),
    "a100": Gpu("NVIDIA A100", (8, 0), 108, 1.41, 40, 79.2, 2.039e12, 312e12, 300e9),
    "a100-40gb": Gpu("NVIDIA A100", (8, 0), 108, 1.41, 40, 39.4, 1.555e12, 312e12, 300e9),
    "a10g": Gpu("NVIDIA A10G", (8, 6), 80, 1.71, 6, 22.1, 0.6e12, 70e12, PCIE_4),
    "a40": Gpu("NVIDIA A40", (8, 6), 84, 1.74, 6, 44.4, 0.696e12, 149.7e12, PCIE_4),
    "a6000": Gpu("NVIDIA RTX A6000", (8, 6), 84, 1.8, 6, 47.5, 0.768e12, 154.8e12, PCIE_4),
    "rtx3090": Gpu("NVIDIA GeForce RTX 3090", (8, 6), 82, 1.7, 6, 23.6, 0.936e12, 35.6e12, PCIE_4),
    "l4": Gpu("NVIDIA L4", (8, 9), 58, 2.04, 48, 22.0, 0.3e12, 121e12, PCIE_4),
    "l40s": Gpu("NVIDIA L40S", (8, 9), 142, 2.52, 96, 44.4, 0.864e12, 362e12, PCIE_4),
    "rtx4090": Gpu(
        "NVIDIA GeForce RTX 4090", (8, 9), 128, 2.52, 72, 23.6, 1.008e12, 165e12, PCIE_4
    ),
    "rtx6000ada": Gpu("NVIDIA RTX 6000 Ada", (8, 9), 142, 2.5, 96, 47.4, 0.96e12, 364e12, PCIE_4),
    "h20": Gpu("NVIDIA H20", (9, 0), 78, 1.98, 60, 95.6, 4.0e12, 148e12, 450e9),
    "h100": Gpu("NVIDIA H100", (9, 0), 132, 1.98, 50, 79.1, 3.352e12, 989e12, 450e9),
    "h200": Gpu("NVIDIA H200", (9, 0), 132, 1.98, 50, 139.8, 4.8e12, 989e12, 450e9),
    "b200": Gpu("NVIDIA B200", (10, 0), 148, 1.965, 126, 178.3, 7.672e12, 2250e12, 900e9),
    "rtx5090": Gpu(
        "NVIDIA GeForce RTX 5090", (12, 0), 170, 2.41, 96, 31.3, 1.792e12, 209e12, PCIE_5
    ),
}

PEAK_FLOPS = {}
for _tpu in TPUS.values():
    PEAK_FLOPS |= dict.fromkeys(_tpu.names, _tpu.peak_flops)
PEAK_FLOPS |= {gpu.name: gpu.peak_flops for gpu in GPUS.values()}


def peak_flops(kind: str) -> float | None:
    """Dense bfloat16 peak of a device in FLOP/s, by JAX's `device_kind`; None if unknown."""
    names = [name for name in PEAK_FLOPS if re.match(rf"{re.escape(name)}\b", kind)]
    # The longest match, so that "TPU v5 lite" takes precedence over "TPU v5".
    return PEAK_FLOPS[max(names, key=len)] if names else None
