"""Describes NVIDIA GPUs to XLA's compiler, for `train.py --aot=h200:1`.

JAX's CUDA plugin compiles for them on any host, without a driver or a GPU.
"""

import os

import jax

from protclip_jax.distributed.chips import GIB, GPUS, MULTIPROCESSORS, Gpu

FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"
"""Fraction of GPU memory that JAX uses; three quarters if the variable is not set."""

NETWORK_BYTES = 50e9
"""Bytes per second from each GPU to other hosts, in one direction: 400 Gb/s, as in an NVIDIA DGX
H100."""

NOT_COUNTED = (
    "workspace of products that are tuned on the device (at most about 0.5 GB)",
    "workspace of cuDNN, with model.attention='cudnn'",
    "buffers of NCCL, on several GPUs",
)
"""Memory of a run that the compiler cannot know without a GPU."""


def usable_bytes(gpu: Gpu) -> int:
    """Bytes of a GPU's memory that JAX lets programs use."""
    return int(gpu.memory_gib * GIB * float(os.environ.get(FRACTION, 0.75)))


def devices(kind: str, of_host: int, hosts: int) -> list[jax.Device]:
    """Abstract devices, `of_host` GPUs on each host.

    Raises:
      NotImplementedError: the CUDA plugin is not installed.
    """
    # Silences the plugin's messages about the missing driver and slow compilation. Real failures
    # also raise an exception.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    from jax.experimental import topologies

    found = topologies.get_topology_desc(
        platform="cuda", target_config=target_config(GPUS[kind]), topology=f"1x{hosts}x{of_host}"
    )
    return list(found.devices)


def target_config(gpu: Gpu) -> str:
    """XLA's GpuTargetConfigProto as text.

    The compiler selects code by these versions, which are those that this project's JAX is built
    for.
    """
    (major, minor), parts = gpu.capability, MULTIPROCESSORS[gpu.capability]
    accelerated = "ACCELERATED_FEATURES" if major in (9, 10) else "NONE"
    return f"""gpu_device_info {{
      threads_per_block_limit: 1024 threads_per_warp: 32 threads_per_core_limit: {parts.threads}
      thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
      block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
      registers_per_core_limit: 65536 registers_per_block_limit: 65536
      shared_memory_per_block: 49152
      shared_memory_per_core: {parts.shared_bytes}
      shared_memory_per_block_optin: {parts.shared_bytes_of_block}
      core_count: {gpu.multiprocessors} fpus_per_core: {parts.fp32_units}
      clock_rate_ghz: {gpu.clock_ghz} l2_cache_size: {gpu.l2_mib * 2**20}
      device_memory_size: {int(gpu.memory_gib * GIB)}
      memory_bandwidth: {int(gpu.memory_bytes_per_second)}
      cuda_compute_capability {{
        major: {major} minor: {minor} feature_extension: {accelerated}
      }}
      device_vendor: "NVIDIA Corporation" name: "{gpu.name}"
      driver_version: "13.0.0" runtime_version: "12.8.0"
      compile_time_toolkit_version: "12.8.0" dnn_version: "9.10.0"
    }}
    platform_name: "CUDA"
    dnn_version_info {{ major: 9 minor: 10 }}
    device_description_str: "{gpu.name}"
    """
