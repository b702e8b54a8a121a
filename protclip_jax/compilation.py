"""Compiling once: programs are kept from run to run, and a step that would be compiled a second time in a run is an error."""

import os
import pathlib
from collections.abc import Callable

import jax

from data_pipelines.errors import RunError


def keep_compiled_programs() -> None:
    """Keeps compiled programs in the user's cache folder, unless JAX_COMPILATION_CACHE_DIR already says where, or is empty."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
        jax.config.update("jax_compilation_cache_dir", str(pathlib.Path(base) / "protclip_jax" / "xla"))


def compiled_once(jitted: Callable) -> Callable:
    """The same function, compiled for its first arguments and never again.

    A jitted function is compiled anew, without a word, for other shapes or shardings: minutes in each of which a pod waits.

    Raises:
      RunError: when called with arguments of another kind.
    """
    compiled = None

    def call(*arguments):
        nonlocal compiled
        if compiled is None:
            compiled = jitted.lower(*arguments).compile()
        try:
            return compiled(*arguments)
        except (TypeError, ValueError) as error:
            raise RunError(f"the training step would have to be compiled again: its inputs have changed ({error}).") from error

    return call
