"""Compiles each program once: caches it across runs, and rejects a recompilation within a run."""

import functools
import os
import pathlib
import sys
from collections.abc import Callable, Mapping

import jax

from data_pipelines.common.errors import RunError
from protclip_jax.distributed.sharding import sum_over_hosts

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""Marks an out-of-memory error in JAX's message."""

MORE_MEMORY = (
    "lower batch.rows or batch.microbatch_rows, raise mesh.fsdp, or set model.remat='full'."
)


def keep_compiled_programs() -> None:
    """Caches compiled programs in the user's cache folder.

    JAX_COMPILATION_CACHE_DIR, if set, takes precedence; if empty, nothing is cached.
    """
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update(
            "jax_compilation_cache_dir", str(pathlib.Path(base) / "protclip_jax" / "xla")
        )


def compiled_once(candidates: Mapping[str, Callable]) -> Callable:
    """Makes a function that runs the first of several jitted functions that fits the devices.

    All candidates compute the same. The function compiles one on the first call, names it on stderr
    if there is a choice, and never compiles again. A jitted function would silently recompile for
    other shapes or shardings, each time for minutes in which the whole pod waits.

    Raises:
      RunError: a later call has arguments with other shapes or shardings, or even the last
        candidate needs too much memory.
    """
    compiled = None

    def compile_for(arguments):
        lowered = {
            name: functools.partial(jitted.lower, *arguments) for name, jitted in candidates.items()
        }
        name, found = first_that_fits(lowered, device_memory())
        if len(candidates) > 1 and jax.process_index() == 0:
            print(f"note: selected {name} of {', '.join(candidates)}.", file=sys.stderr)
        return found

    def run(arguments):
        try:
            return compiled(*arguments)
        except (TypeError, ValueError) as error:
            raise RunError(
                f"the inputs of the training step have changed ({error}), which would require "
                "compiling it again; keep the shapes and shardings of all batches equal."
            ) from error

    def call(*arguments):
        nonlocal compiled
        try:
            compiled = compiled or compile_for(arguments)
            return run(arguments)
        except jax.errors.JaxRuntimeError as error:
            if OUT_OF_MEMORY not in str(error):
                raise
            raise RunError(
                f"the training step needs more memory than a device has; {MORE_MEMORY}"
            ) from error

    return call


def first_that_fits(
    candidates: Mapping[str, Callable[[], jax.stages.Lowered]], capacity: int
) -> tuple[str, jax.stages.Compiled]:
    """Compiles the first program that needs at most `capacity` bytes per device, or else the last.

    All hosts make the same choice. A candidate is lowered only when its turn comes.

    Returns:
      The candidate's name and program.

    Raises:
      JaxRuntimeError: the last candidate fails to compile.
    """
    *others, last = candidates
    for name in others:
        try:
            compiled = candidates[name]().compile()
            misfits = sum(hbm_bytes(compiled).values()) > capacity
        except jax.errors.JaxRuntimeError as error:
            # TPU compilers report this error long before they would finish compiling.
            if OUT_OF_MEMORY not in str(error):
                raise
            misfits = True
        if not any(sum_over_hosts({"misfits": int(misfits)}).values()):
            return name, compiled
    return last, candidates[last]().compile()


def hbm_bytes(compiled: jax.stages.Compiled) -> dict[str, int]:
    """Bytes of each device's memory that a program needs, by kind."""
    memory = compiled.memory_analysis()
    return {
        "arguments": memory.argument_size_in_bytes,
        "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "program": memory.generated_code_size_in_bytes,
    }


def device_memory() -> int:
    """Bytes that programs may use on one of this process's devices.

    On a CPU this is a virtual device's share of the machine's memory.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    of_host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.local_device_count()
    return statistics.get("bytes_limit", of_host)
