"""A CPU as several JAX devices, over which rows are divided as over any others."""

import functools
import os

import jax

from data_pipelines.common.errors import UserError

MAX_CPU_DEVICES = 4
"""By default; every device holds the parameters."""


@functools.cache
def split_cpu(devices: int | None) -> None:
    """Makes a CPU that many devices (default: its cores, at most `MAX_CPU_DEVICES`); call it before
    JAX is used.

    XLA computes attention's small products on one thread of a device: on two cores two devices
    embed half as fast again as one. A number of devices in XLA_FLAGS is left as it is, and
    accelerators are not touched. Called again with the same number it does nothing.

    Raises:
      UserError: the number is below 1.
    """
    if devices is not None and devices < 1:
        raise UserError(f"--cpu_devices={devices} must be at least 1.")
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        jax.config.update(
            "jax_num_cpu_devices", devices or min(MAX_CPU_DEVICES, len(os.sched_getaffinity(0)))
        )
