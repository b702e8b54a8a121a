"""A profile of some steps of a run, for TensorBoard's profiler or Perfetto."""

import pathlib
from typing import Self

import jax


class Profiler:
    """Traces the steps from `first` on into a folder; nothing where `steps` is 0."""

    def __init__(self, folder: pathlib.Path, *, first: int, steps: int):
        self._folder, self._first, self._end = folder, first, first + steps
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._stop()

    def before(self, step: int) -> None:
        """Begins or ends the trace, when the run is about to take that step."""
        if step == self._first < self._end:
            jax.profiler.start_trace(self._folder)
            self._running = True
        elif step >= self._end:
            self._stop()

    def _stop(self) -> None:
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
