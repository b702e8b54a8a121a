"""Compiling once: programs are kept from run to run, and a step that would be compiled a second
time in a run is an error."""

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
    """Keeps compiled programs in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR
    already says where, or is empty."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update(
            "jax_compilation_cache_dir", str(pathlib.Path(base) / "protclip_jax" / "xla")
        )


def compiled_once(candidates: Mapping[str, Callable]) -> Callable:
    """The first of some jitted functions that fits the devices, compiled for its first arguments
    and never again.

    All compute the same; which of several was taken is told on stderr. A jitted function is
    compiled anew, without a word, for other shapes or shardings: minutes in each of which a pod
    waits.

    Raises:
      RunError: when called with arguments of another kind, or where even the last has too little
        memory.
    """
    compiled = None

    def compile_for(arguments):
        lowered = {
            name: functools.partial(jitted.lower, *arguments) for name, jitted in candidates.items()
        }
        name, found = first_that_fits(lowered, device_memory())
        if len(candidates) > 1 and jax.process_index() == 0:
            print(f"note: of {', '.join(candidates)} the step takes {name}.", file=sys.stderr)
        return found

    def run(arguments):
        try:
            return compiled(*arguments)
        except (TypeError, ValueError) as error:
            raise RunError(
                "the training step would have to be compiled again: its inputs have changed "
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
    """The first program that takes at most `capacity` bytes of each device, and its name; the last
    whatever it takes.

    All hosts choose alike. Lowered only when its turn comes.

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
    """What a program takes of each device's memory, by kind."""
    memory = compiled.memory_analysis()
    return {
        "arguments": memory.argument_size_in_bytes,
        "results": memory.output_size_in_bytes - memory.alias_size_in_bytes,
        "temporaries": memory.temp_size_in_bytes,
        "program": memory.generated_code_size_in_bytes,
    }


def device_memory() -> int:
    """Bytes that programs may use of one of this process's devices; on a CPU, a virtual device's
    share of the machine's."""
    statistics = jax.local_devices()[0].memory_stats() or {}
    of_host = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // jax.local_device_count()
    return statistics.get("bytes_limit", of_host)
