"""Compiles once: caches programs between runs, and refuses to recompile a step within a run."""

import functools
import os
import pathlib
import sys
from collections.abc import Callable, Mapping

import jax

from data_pipelines.common.errors import RunError
from protclip_jax.distributed.sharding import sum_over_hosts

OUT_OF_MEMORY = "RESOURCE_EXHAUSTED"
"""In the message of JAX's error."""

MORE_MEMORY = (
    "lower batch.rows or batch.microbatch_rows, raise mesh.fsdp, or set model.remat='full'."
)


def keep_compiled_programs() -> None:
    """Caches compiled programs in the user's folder, unless JAX_COMPILATION_CACHE_DIR is set."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update(
            "jax_compilation_cache_dir", str(pathlib.Path(base) / "protclip_jax" / "xla")
        )


def compiled_once(candidates: Mapping[str, Callable]) -> Callable:
    """The first of some equivalent jitted functions that fits the devices, compiled only once.

    A note on stderr says which of several was chosen. A jitted function would silently recompile
    for other shapes or shardings: minutes in each of which a pod waits.

    Raises:
      RunError: called with arguments of another kind, or even the last function needs too much
      memory.
    """
    compiled = None

    def compile_for(arguments):
        lowered = {
            name: functools.partial(jitted.lower, *arguments) for name, jitted in candidates.items()
        }
        name, found = first_that_fits(lowered, device_memory())
        if len(candidates) > 1 and jax.process_index() == 0:
            print(f"note: of {', '.join(candidates)} the step uses {name}.", file=sys.stderr)
        return found

    def run(arguments):
        try:
            return compiled(*arguments)
        except (TypeError, ValueError) as error:
            raise RunError(
                "the training step would have to be recompiled, because its inputs have changed "
                f"({error})."
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
    """The first program that needs at most `capacity` bytes per device, or the last; and its name.

    All hosts choose alike. A program is lowered only when its turn comes.

    Raises:
      JaxRuntimeError: the compiler has no program for the last.
    """
    *others, last = candidates
    for name in others:
        try:
            compiled = candidates[name]().compile()
            misfits = sum(hbm_bytes(compiled).values()) > capacity
        except jax.errors.JaxRuntimeError as error:
            # What a TPU's compiler says, long before it would have been done.
            if OUT_OF_MEMORY not in str(error):
                raise
            misfits = True
        if not any(sum_over_hosts({"misfits": int(misfits)}).values()):
            return name, compiled
    return last, candidates[last]().compile()


def hbm_bytes(compiled: jax.stages.Compiled) -> dict[str, int]:
    """A program's memory needs per device, by kind."""
    memory = compiled.memory_analysis()
    return {
        "arguments": memory.argument_size_in_bytes,
        "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "program": memory.generated_code_size_in_bytes,
    }


def device_memory() -> int:
    """Bytes that programs may use on one of this process's devices.

    On a CPU, a virtual device's share of the machine's memory.
    """
    statistics = jax.local_devices()[0].memory_stats() or {}
    of_host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.local_device_count()
    return statistics.get("bytes_limit", of_host)
