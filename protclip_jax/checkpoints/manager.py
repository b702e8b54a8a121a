"""Checkpoints of a workdir, `checkpoints/<step>/{params,optimizer,data}`: Orbax saves, we seal.

Orbax stores no checksums of arrays: it reads a bit that flipped on the disk as another number. So a
step counts only once it is sealed with the hashes of its files (`checksums.py`). Damaged steps, and
those interrupted before their seal, are set aside as `<step>.damaged` and never deleted here.

Steps are chosen and removed here and not by Orbax' `training.Checkpointer`: there, a host whose
save fails waits up to 20 minutes for the others before it can report the error.
"""

import logging
import pathlib
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import jax
import numpy as np
from etils import epath
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import checksums, step_folders
from protclip_jax.checkpoints.best import RETRIEVAL, Best, judge_all, metrics_text, worth_keeping
from protclip_jax.checkpoints.step_folders import complete_steps

KEEP_LATEST = 2
"""The number of newest steps to keep: the last may be damaged when a machine crashes."""

_NO_STEP = -1


def _is_not_orbax_error(record: logging.LogRecord) -> bool:
    """False for errors that Orbax logs in each thread; they are also raised as exceptions."""
    return record.levelno < logging.ERROR or "orbax" not in pathlib.Path(record.pathname).parts


logging.getLogger("absl").addFilter(_is_not_orbax_error)


class CheckpointManager:
    """Saves and restores training state; keeps the latest, the best and `keep_every` steps.

    A resumed run may use another metric. Steps are then judged by what was measured at the time;
    until a step is measured by the new metric, those that were best by the old one are kept.

    All hosts call every method in the same way. As a context manager, it waits for the running save
    on exit.
    """

    def __init__(
        self,
        workdir: pathlib.Path,
        *,
        keep_best: int,
        keep_every: int = 0,
        best: Best = RETRIEVAL,
        checkpoints: epath.Path | None = None,
        share: Callable[[], None] = lambda: None,
    ):
        """Opens the checkpoints of a workdir.

        Args:
          keep_every: steps at multiples of it are kept; 0 = none for that reason.
          checkpoints: the folder of the steps if it is not the workdir's own.
          share: called on every host before a step is written, and in a thread before it is sealed.
        """
        self._checkpoints = checkpoints or epath.Path(workdir.absolute() / step_folders.CHECKPOINTS)
        self._best, self._count, self._keep_every = best, keep_best, keep_every
        self._share = share
        self._thread = ThreadPoolExecutor(1)
        self._saving: Future | None = None
        if jax.process_index() == 0:
            step_folders.remove_unfinished(self._checkpoints)

    def newest_intact(self) -> int | None:
        """The newest step whose files are all as saved; None in a new workdir.

        The first host checks for all hosts. It sets newer steps that are damaged or unsealed aside,
        with a warning on stderr.

        Raises:
          UserError: sealed steps exist, but all are damaged; they are left in place.
        """
        found = self._find_intact() if jax.process_index() == 0 else None
        known = np.int32(_NO_STEP if found is None else found)
        agreed = int(multihost_utils.broadcast_one_to_all(known))
        return None if agreed == _NO_STEP else agreed

    def _find_intact(self) -> int | None:
        damaged = {}
        for step in reversed(step_folders.written_steps(self._checkpoints)):
            reason = checksums.find_damage(self._checkpoints / str(step))
            if reason is None:
                break
            damaged[step] = reason
        else:
            step = None
            if complete_steps(self._checkpoints):
                reasons = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
                raise UserError(
                    f"every checkpoint in {self._checkpoints} is damaged ({reasons}); replace one "
                    "with an intact copy, or remove the folder to start again."
                )
        for bad, reason in damaged.items():
            aside = step_folders.set_aside(self._checkpoints, bad)
            message = f"checkpoint {bad} is damaged ({reason}) and now {aside}"
            print(f"warning: {message}; resuming from {step or 0}.", file=sys.stderr)
        return step

    def save(
        self, step: int, *, params: Any, optimizer: Any, data: Any, metrics: Mapping[str, float]
    ) -> None:
        """Starts saving one step in the background; first waits for an earlier save.

        `data` is a tree of arrays that are equal on all hosts: the position in the input, and other
        state needed to resume. `metrics` are those of the evaluations, including the one that
        chooses the best checkpoint; empty if this step was not evaluated. The caller decides when
        to save. Raises the error of the earlier save.
        """
        self._wait()
        self._share()
        items = {"params": params, "optimizer": optimizer, "data": data}
        folder = self._checkpoints / str(step)
        writing = ocp.save_checkpointables_async(folder, items, overwrite=True)
        text = metrics_text(metrics, self._best)
        self._saving = self._thread.submit(self._finish, writing, step, text)

    def _finish(self, writing: ocp.AsyncResponse, step: int, metrics: str) -> None:
        writing.result()
        self._share()
        if jax.process_index() == 0:
            step_folders.seal(self._checkpoints / str(step), metrics)
            self._remove_old()

    def _remove_old(self) -> None:
        judged = judge_all(self._checkpoints, complete_steps(self._checkpoints))
        kept = worth_keeping(judged, self._best, self._count)
        for step in step_folders.written_steps(self._checkpoints)[:-KEEP_LATEST]:
            stays = self._keep_every and step % self._keep_every == 0
            if step not in kept and not stays:
                step_folders.remove(self._checkpoints / str(step))

    def raise_failure(self) -> None:
        """Raises the running save's error if it has failed already; does not wait for it."""
        if self._saving is not None and self._saving.done():
            self._wait()

    def _wait(self) -> None:
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def restore(self, step: int, *, params: Any, optimizer: Any, data: Any) -> tuple[Any, Any, Any]:
        """Restores (params, optimizer, data) with the shapes and shardings of abstract trees."""
        abstract = {"params": params, "optimizer": optimizer, "data": data}
        restored = ocp.load_checkpointables(self._checkpoints / str(step), abstract)
        return restored["params"], restored["optimizer"], restored["data"]

    def close(self) -> None:
        """Waits for the running save and ends the thread; raises the save's error."""
        with self._thread:
            self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()
