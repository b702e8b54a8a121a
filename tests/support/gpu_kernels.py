"""`python -m tests.support.gpu_kernels FOLDER KIND:DTYPE…` compiles the attention kernels for GPUs
that are not there.

Prints one JSON object: for each GPU and dtype the kernels' bytes of shared memory and how often
their code has each of some instructions, or, where the compiler gives none, its message. A kernel
that spills registers is one that it gives no code for.
"""

import json
import pathlib
import re
import sys

import jax

from benchmarks.gpu_cards import attention_step, shared_bytes
from protclip_jax.aot.topology import topology_devices

INSTRUCTIONS = ("wgmma.mma_async", "mma.sync", "tcgen05.mma")


def compile_kernels(kind: str, dtype: str, folder: pathlib.Path) -> dict:
    """What is printed of one GPU and dtype."""
    (device,) = topology_devices(f"{kind}:1")
    mesh = jax.sharding.Mesh([device], "data")
    options = {
        "xla_dump_to": str(folder),
        "xla_gpu_fail_ptx_compilation_on_register_spilling": True,
    }
    try:
        with jax.set_mesh(mesh):
            attention_step(dtype, mesh).compile(options)
    except jax.errors.JaxRuntimeError as error:
        return {"error": str(error)}
    return {"shared_bytes": shared_bytes(folder), "instructions": instructions(folder)}


def instructions(folder: pathlib.Path) -> dict[str, dict[str, int]]:
    """Of each kernel's PTX."""
    counts = {}
    for path in folder.glob("*.ptx"):
        code = path.read_text()
        for name in re.findall(r"\.entry (_\w+_kernel)\(", code):
            counts[name] = {word: code.count(word) for word in INSTRUCTIONS}
    return counts


def main(folder: str, *targets: str) -> None:
    jax.config.update("jax_platforms", "cpu")
    found = {}
    for target in targets:
        kind, _, dtype = target.partition(":")
        found[target] = compile_kernels(kind, dtype, pathlib.Path(folder) / f"{kind}-{dtype}")
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
