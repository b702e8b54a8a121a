"""The virtual environment that has JAX's compiler for GPUs, `make gpu-compiler`: beside the
suite's, as each start of JAX with the CUDA plugin and without a driver prints a traceback."""

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

PYTHON = pathlib.Path(f"{sys.prefix}-gpu/bin/python")


def run(*arguments: str) -> subprocess.CompletedProcess:
    """A program of the repository in that environment; skips the test where there is none."""
    if not PYTHON.exists():
        pytest.skip(f"{PYTHON} is absent; make gpu-compiler")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    # As a user's machine has it: what the suite sets for CPUs makes other code.
    for name in ("JAX_PLATFORMS", "XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR"):
        environment.pop(name, None)
    return subprocess.run(
        [PYTHON, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
