"""Presents a CPU as several JAX devices, over which rows are divided as over any others."""

import functools
import math
import os

import jax

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import print_status

MAX_CPU_DEVICES = 4
"""The default maximum; every device holds a copy of the parameters."""


@functools.cache
def split_cpu(devices: int | None) -> None:
    """Splits a CPU into `devices` devices (default: its cores, at most `MAX_CPU_DEVICES`).

    Call it before JAX is used; later, as in a notebook, JAX keeps the devices that it has, and a
    note says so if `devices` is another number. XLA computes the small products of attention on
    one thread per device: on two cores, two devices embed 1.5 times as fast as one. A number of
    devices set in XLA_FLAGS is kept, and accelerators are not affected.

    Raises:
      UserError: the number is below 1.
    """
    if devices is not None and devices < 1:
        raise UserError(f"--cpu_devices={devices} must be at least 1.")
    if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
        try:
            jax.config.update("jax_num_cpu_devices", devices or _cores())
        except RuntimeError:  # JAX is in use.
            kept = jax.local_device_count()
            if jax.default_backend() == "cpu" and devices not in (None, kept):
                print_status(
                    f"note: JAX is in use already, so the number of CPU devices stays {kept}."
                )


def devices_of_training(rows: int, *, data: int, fsdp: int) -> int:
    """The most devices, up to a CPU's cores and `MAX_CPU_DEVICES`, that suit a run.

    Args:
      rows: that are computed at a time, a multiple of the devices.
      data, fsdp: the sizes of the mesh; -1 follows from the number of devices.

    >>> devices_of_training(7, data=-1, fsdp=1)
    1
    """
    known = math.prod(size for size in (data, fsdp) if size != -1)
    for devices in range(_cores(), 1, -1):
        whole = devices % known == 0 if -1 in (data, fsdp) else devices == known
        if whole and rows % devices == 0:
            return devices
    return 1


def _cores() -> int:
    """The cores that this process may use, at most `MAX_CPU_DEVICES`."""
    return min(MAX_CPU_DEVICES, len(os.sched_getaffinity(0)))
