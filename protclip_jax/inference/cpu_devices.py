"""Presents a CPU as several JAX devices, over which rows are divided as over any others."""

import functools
import os

import jax

from data_pipelines.common.errors import UserError

MAX_CPU_DEVICES = 4
"""The default maximum; every device holds a copy of the parameters."""


@functools.cache
def split_cpu(devices: int | None) -> None:
    """Splits a CPU into `devices` devices (default: its cores, at most `MAX_CPU_DEVICES`).

    Call it before JAX is used. XLA computes the small products of attention on one thread per
    device: on two cores, two devices embed 1.5 times as fast as one. A number of devices set in
    XLA_FLAGS is kept, and accelerators are not affected. Repeated calls with the same number do
    nothing.

    Raises:
      UserError: the number is below 1.
    """
    if devices is not None and devices < 1:
        raise UserError(f"--cpu_devices={devices} must be at least 1.")
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update(
            "jax_num_cpu_devices", devices or min(MAX_CPU_DEVICES, len(os.sched_getaffinity(0)))
        )
