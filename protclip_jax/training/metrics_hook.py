"""`metrics_hook`: a writer of the user's own that gets every metric, as for W&B or MLflow."""

import importlib
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from data_pipelines.common.errors import RunError, UserError


class Writer(Protocol):
    """What a hook makes."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Called on the first host for each line of metrics.jsonl; finite values only."""

    def close(self) -> None:
        """Called at the end of the run, whatever ends it."""


Hook = Callable[[dict[str, Any], pathlib.Path, int], Writer]
"""(config, workdir, step that the run goes on from) → a writer."""


def load_hook(name: str) -> Hook:
    """The function that `module:function` names.

    Raises:
      UserError: it cannot be imported.
    """
    module, _, function = name.partition(":")
    try:
        return getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise UserError(
            f"metrics_hook={name} cannot be imported ({error}); name a `module:function` "
            "that is installed or on PYTHONPATH."
        ) from error


def start(name: str, config: dict[str, Any], workdir: pathlib.Path, step: int) -> "Guarded":
    """The writer that the hook of that name makes.

    Raises:
      RunError: the hook fails.
    """
    try:
        return Guarded(name, load_hook(name)(config, workdir, step))
    except Exception as error:  # whatever a stranger's library raises
        reason = f"{type(error).__name__}: {error}"
        raise RunError(
            f"metrics_hook={name} cannot start ({reason}); mend it, or leave it out."
        ) from error


class Guarded:
    """A hook's writer that is given up with a warning when it fails: training goes on."""

    def __init__(self, name: str, writer: Writer):
        self._name, self._writer = name, writer

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Passes the values on."""
        self._call("write", step, values)

    def close(self) -> None:
        """Passes the call on."""
        self._call("close")

    def _call(self, method: str, *arguments: Any) -> None:
        if self._writer is None:
            return
        try:
            getattr(self._writer, method)(*arguments)
        except Exception as error:  # whatever a stranger's library raises
            self._writer = None
            reason = f"{type(error).__name__}: {error}"
            print(
                f"warning: metrics_hook={self._name} failed ({reason}) and gets no more "
                "metrics; metrics.jsonl has them all.",
                file=sys.stderr,
            )
