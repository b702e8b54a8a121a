"""`metrics_hook`: a user's own writer that receives all metrics, for example for W&B or MLflow."""

import importlib
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from data_pipelines.common.errors import RunError, UserError


class Writer(Protocol):
    """The writer that a hook returns."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Called on the first host for each line of metrics.jsonl, with the finite values."""

    def close(self) -> None:
        """Called at the end of the run, also after an error."""


Hook = Callable[[dict[str, Any], pathlib.Path, int], Writer]
"""Maps (config, workdir, step that the run continues from) to a writer."""


def load_hook(name: str) -> Hook:
    """Imports the function named `module:function`.

    Raises:
      UserError: it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"metrics_hook={name} cannot be imported ({error}); expected a `module:function` that "
            "is installed or on PYTHONPATH."
        ) from error


def start(name: str, config: dict[str, Any], workdir: pathlib.Path, step: int) -> "Guarded":
    """Starts the writer of the named hook.

    Raises:
      RunError: the hook fails.
    """
    try:
        return Guarded(name, load_hook(name)(config, workdir, step))
    except Exception as error:  # A user's hook may raise anything.
        reason = f"{type(error).__name__}: {error}"
        raise RunError(
            f"metrics_hook={name} cannot start ({reason}); fix the hook, or unset metrics_hook."
        ) from error


class Guarded:
    """Wraps a hook's writer; if it fails, warns and drops it, and training continues."""

    def __init__(self, name: str, writer: Writer):
        self._name, self._writer = name, writer

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Forwards the values."""
        self._call("write", step, values)

    def close(self) -> None:
        """Forwards the call."""
        self._call("close")

    def _call(self, method: str, *arguments: Any) -> None:
        if self._writer is None:
            return
        try:
            getattr(self._writer, method)(*arguments)
        except Exception as error:  # A user's hook may raise anything.
            self._writer = None
            reason = f"{type(error).__name__}: {error}"
            print(
                f"warning: metrics_hook={self._name} failed ({reason}) and receives no more "
                "metrics; metrics.jsonl contains all of them.",
                file=sys.stderr,
            )
