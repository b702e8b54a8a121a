"""Profiles some steps of a run for TensorBoard's profiler or Perfetto."""

import pathlib
from typing import Self

import jax


class Profiler:
    """Traces `steps` steps from `first` into a folder; does nothing if `steps` is 0."""

    def __init__(self, folder: pathlib.Path, *, first: int, steps: int):
        self._folder, self._first, self._end = folder, first, first + steps
        self._running = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self._stop()

    def before(self, step: int) -> None:
        """Starts or stops the trace before the given step."""
        if step == self._first < self._end:
            jax.profiler.start_trace(self._folder)
            self._running = True
        elif step >= self._end:
            self._stop()

    def _stop(self) -> None:
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
