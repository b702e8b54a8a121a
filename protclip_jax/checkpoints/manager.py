"""Checkpoints of a workdir: `checkpoints/<step>/{params,optimizer,data}`, written by Orbax and sealed.

Orbax keeps no checksum of an array: a bit that flips on the disk is read as another number. So a step is sealed with the
hashes of its files before it counts as one (`step_folders.py`): it was once complete, and whoever reads it finds by the seal
whether it still is. Damaged steps are set aside as `<step>.damaged` and never deleted here.
"""

import logging
import pathlib
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import jax
import numpy as np
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.best import RETRIEVAL, Best, metrics_text, worth_keeping
from protclip_jax.checkpoints.step_folders import BucketSteps, LocalSteps

KEEP_LATEST = 2
"""The newest steps that stay: the last may be damaged when a machine dies."""

_NO_STEP = -1


def _is_not_told_again(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax logs of an error in each of its threads, which arrives here as an exception."""
    return "_SignalingThread.run() raised" not in record.getMessage()


logging.getLogger("absl").addFilter(_is_not_told_again)


class CheckpointManager:
    """Saves and restores the training state of a workdir; keeps the latest and the `keep_best` best.

    A resumed run may choose by another metric: steps are judged by what was measured of them at the time, and while none has
    been measured by the new metric, those that were best by the old one stay.

    All hosts call every method alike. A context manager, which at its end waits for the running save.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        *,
        keep_best: int,
        best: Best = RETRIEVAL,
        steps: BucketSteps | None = None,
        before_publishing: Callable[[], None] = lambda: None,
    ):
        """`steps` is where they lie if not in the workdir's `checkpoints/`.

        `before_publishing` is called on every host, in a thread, when a step is written and before it counts as one.
        """
        self._steps, self._before_publishing = steps or LocalSteps(workdir / "checkpoints"), before_publishing
        self._keep_best, self._best = keep_best, best
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future | None = None
        if jax.process_index() == 0:
            self._steps.remove_unfinished()

    def newest_intact(self) -> int | None:
        """The newest step whose files are all as they were saved, None in a new workdir.

        The first host looks, for all. It sets newer steps that are damaged aside, and says so on stderr.

        Raises:
          UserError: there are steps, and all are damaged; they are left as they are.
        """
        found = self._find_intact() if jax.process_index() == 0 else None
        agreed = int(multihost_utils.broadcast_one_to_all(np.int32(_NO_STEP if found is None else found)))
        return None if agreed == _NO_STEP else agreed

    def _find_intact(self) -> int | None:
        damaged = {}
        for step in reversed(self._steps.numbers()):
            reason = self._steps.find_damage(step)
            if reason is None:
                break
            damaged[step] = reason
        else:
            if not damaged:
                return None
            message = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise UserError(
                f"every checkpoint in {self._steps} is damaged ({message}); put a copy of one in place, "
                "or remove the folder to begin again."
            )
        for bad, reason in damaged.items():
            aside = self._steps.set_aside(bad)
            print(f"warning: checkpoint {bad} is damaged ({reason}) and now {aside}; going on from {step}.", file=sys.stderr)
        return step

    def save(self, step: int, *, params: Any, optimizer: Any, data: Any, metrics: Mapping[str, float]) -> None:
        """Starts saving one step in the background; waits for an earlier save that is still running.

        `data` is a tree of arrays that all hosts hold alike: where the input stands, and whatever else a run continues from.
        `metrics` are the evaluations', among them the one by which the best checkpoint is chosen; empty where this step was
        not evaluated. Raises what the earlier save could not do.
        """
        self._wait()
        unfinished = self._steps.unfinished(step)
        items = {"params": params, "optimizer": optimizer, "data": data}
        writing = ocp.save_checkpointables_async(unfinished, items, overwrite=True)
        self._saving = self._thread.submit(self._finish, writing, step, dict(metrics))

    def _finish(self, writing: ocp.AsyncResponse, step: int, metrics: Mapping[str, float]) -> None:
        writing.result()
        self._before_publishing()
        if jax.process_index() == 0:
            self._steps.publish(step, metrics_text(metrics, self._best))
            self._remove_old()

    def _remove_old(self) -> None:
        for step in set(self._steps.numbers()[:-KEEP_LATEST]) - worth_keeping(self._steps, self._best, self._keep_best):
            self._steps.remove(step)

    def raise_failure(self) -> None:
        """Raises what the running save could not do, if it has failed already; does not wait for it."""
        if self._saving is not None and self._saving.done():
            self._wait()

    def _wait(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def restore(self, step: int, *, params: Any, optimizer: Any, data: Any) -> tuple[Any, Any, Any]:
        """Restores (params, optimizer, data) into the shapes and shardings of the given abstract trees."""
        restored = ocp.load_checkpointables(self._steps.path(step), {"params": params, "optimizer": optimizer, "data": data})
        return restored["params"], restored["optimizer"], restored["data"]

    def close(self) -> None:
        """Waits for the running save and ends the thread; raises what the save could not do."""
        with self._thread:
            self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
