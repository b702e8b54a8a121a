"""Checkpoints of a workdir: `checkpoints/<step>/{params,optimizer,data}`, written by Orbax and sealed.

Orbax keeps no checksum of an array: a bit that flips on the disk is read as another number. So a step is sealed with the
hashes of its files before it counts as one (`step_folders.py`): it was once complete, and whoever reads it finds by the seal
whether it still is. Damaged steps are set aside as `<step>.damaged` and never deleted here.
"""

import functools
import hashlib
import json
import logging
import math
import pathlib
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from data_pipelines.errors import UserError
from protclip_jax.config_fields import is_number
from protclip_jax.step_folders import METRICS, BucketSteps, LocalSteps
from protclip_jax.stored_arrays import stored_arrays

KEEP_LATEST = 2
"""The newest steps that stay: the last may be damaged when a machine dies."""

_NO_STEP = -1


def _is_not_told_again(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax logs of an error in each of its threads, which arrives here as an exception."""
    return "_SignalingThread.run() raised" not in record.getMessage()


logging.getLogger("absl").addFilter(_is_not_told_again)


class Best(NamedTuple):
    """By what the best checkpoint is chosen."""

    metric: str | None
    """A metric of the evaluations in training, such as `retrieval/mrr`; None chooses no best."""
    mode: str
    """`max` or `min`: whether the largest or the smallest value is best."""


RETRIEVAL = Best("retrieval/mrr", "max")
"""What checkpoints without a record of it were chosen by."""


class Checkpoints:
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
            told = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise UserError(
                f"every checkpoint in {self._steps} is damaged ({told}); put a copy of one in place, "
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
            self._steps.publish(step, _metrics_text(metrics, self._best))
            self._remove_old()

    def _remove_old(self) -> None:
        for step in set(self._steps.numbers()[:-KEEP_LATEST]) - _worth_keeping(self._steps, self._best, self._keep_best):
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


def _metrics_text(metrics: Mapping[str, float], best: Best) -> str:
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    return json.dumps({"metrics": finite, "best": best._asdict()}) + "\n"


class _Judged(NamedTuple):
    """What a step's `METRICS` say."""

    metrics: Mapping[str, float]
    best: Best

    def score(self, best: Best) -> float | None:
        """The larger the better; None where it was not measured."""
        value = self.metrics.get(best.metric)
        return None if not is_number(value) else value if best.mode == "max" else -value


def _judged(steps: LocalSteps | BucketSteps, step: int) -> _Judged:
    _check(steps, step, under=METRICS)
    stored = steps.read_metrics(step)
    metrics, best = stored.get("metrics"), stored.get("best")
    if not isinstance(metrics, dict) or not isinstance(best, dict):
        return _Judged({RETRIEVAL.metric: stored.get("mrr")}, RETRIEVAL)
    return _Judged(metrics, Best(str(best.get("metric")), str(best.get("mode"))))


def _ranked(judged: Mapping[int, _Judged], best: Best) -> list[int]:
    """The steps that were measured by it, the best first, the later of equals first."""
    scores = {step: score for step, of_step in judged.items() if (score := of_step.score(best)) is not None}
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)


def _worth_keeping(steps: LocalSteps | BucketSteps, best: Best, count: int) -> set[int]:
    """The `count` best steps, and those that nobody can judge, as their metrics are damaged.

    Where no step was measured by `best`, the last of the rules that steps were saved under and some were measured by decides.
    """
    judged, unknown = {}, set()
    for step in steps.numbers():
        try:
            judged[step] = _judged(steps, step)
        except UserError:
            unknown.add(step)
    rules = [best, *(judged[step].best for step in sorted(judged, reverse=True))]
    ranked = next(filter(None, (_ranked(judged, rule) for rule in rules)), [])
    return unknown | set(ranked[:count])


def _check(steps: LocalSteps | BucketSteps, step: int, *, under: str) -> None:
    """Raises UserError, with the steps that could be used instead, where a part of a checkpoint is damaged."""
    if reason := steps.find_damage(step, under=under):
        others = ", ".join(str(other) for other in steps.numbers() if other != step)
        fix = f", or name another step (it has {others})" if others else ""
        raise UserError(f"the checkpoint {steps.path(step)} is damaged ({reason}); put a copy of it in place{fix}.")


def resolve_step(workdir: pathlib.Path, step: str | int | None = None) -> int:
    """The step that `--step N|best|latest` names; by default the best if one is recorded, else the latest.

    What is best follows the rule that the newest step was saved under.

    Raises:
      UserError: there is no such checkpoint.
    """
    if step not in (None, "best", "latest") and not str(step).isdecimal():
        raise UserError(f"--step={step} is neither a number nor best nor latest.")
    folder = (workdir / "checkpoints").absolute()
    if not folder.is_dir():
        raise UserError(f"{workdir} holds no checkpoints/ folder; give a workdir or a converted checkpoint.")
    lying = LocalSteps(folder)
    steps = lying.numbers()
    if not steps:
        raise UserError(f"{folder} holds no complete checkpoint yet.")
    if step in (None, "best"):
        judged = {number: _judged(lying, number) for number in steps}
        return next(iter(_ranked(judged, judged[steps[-1]].best)), steps[-1])
    if step == "latest":
        return steps[-1]
    if int(step) not in steps:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, steps))}.")
    return int(step)


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint that holds parameters only: for evaluation, conversion, or `init` of another run."""
    steps = LocalSteps(workdir / "checkpoints")
    ocp.save_checkpointables(steps.unfinished(step), {"params": params}, overwrite=True)
    steps.publish(step, _metrics_text({}, RETRIEVAL))


def stored_groups(workdir: pathlib.Path, step: int) -> frozenset[str]:
    """The parameter groups (`protein`, `text`, `protein_projection`, …) that a checkpoint holds; a lone tower is one.

    Raises:
      UserError: the checkpoint is damaged.
    """
    return frozenset(_stored(workdir, step))


def fingerprint(params: Any) -> str:
    """SHA-256 (hex) of every parameter's path, dtype, shape and bytes: equal for equal parameters, however they are stored."""
    digest = hashlib.sha256()
    for name, leaf in sorted(_named(params)):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.view(np.uint8).data)
    return digest.hexdigest()


def load_params(workdir: pathlib.Path, step: int, abstract: Any) -> Any:
    """The parameters of one checkpoint in the shapes, dtypes and shardings of `abstract`, on any device count.

    `abstract` may name some groups (`protein`, `text`, …) only; the others are not read.

    Raises:
      UserError: the checkpoint is damaged, or a parameter is absent there, has another shape, or is left over in a group
        that is read.
    """
    path = (workdir / "checkpoints" / str(step)).absolute()
    stored = _stored(workdir, step)
    shapes = {name: tuple(leaf.shape) for name, leaf in _named(stored)}
    wanted = dict(_named(abstract))
    for name, leaf in wanted.items():
        if shapes.get(name) != tuple(leaf.shape):
            raise UserError(f"{path}: the parameter {name} is {shapes.get(name, 'absent')} there and should be {leaf.shape}.")
    unused = [name for name in shapes if name not in wanted and name.partition("/")[0] in abstract]
    if unused:
        raise UserError(f"{path}: the parameter {unused[0]} is there, but this model has none of that name.")
    template = jax.tree.map_with_path(lambda key, _: wanted.get(_name(key), ocp.PLACEHOLDER), stored)
    try:
        loaded = dict(_named(ocp.load_checkpointables(path, {"params": template})["params"]))
        if any(not isinstance(loaded[name], jax.Array) or loaded[name].shape != leaf.shape for name, leaf in wanted.items()):
            raise ValueError("it holds something else than it says")
    except Exception as error:  # whatever a hostile file leads to, which may well be sealed
        raise UserError(f"{path} cannot be loaded ({_root_cause(error)}); get the checkpoint anew.") from error
    return jax.tree.map_with_path(lambda key, _: loaded[_name(key)], abstract)


def _root_cause(error: BaseException) -> str:
    """The first line of what happened first; Orbax raises its own error for any."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _stored(workdir: pathlib.Path, step: int) -> Any:
    """Metadata of an intact checkpoint's parameters, as a tree."""
    path = (workdir / "checkpoints" / str(step)).absolute()
    return _checked(path, path.stat().st_mtime_ns)


@functools.cache
def _checked(path: pathlib.Path, made: int) -> Any:
    """Remembered, as the hashes of large parameters take seconds; `made` tells apart checkpoints that had the same path."""
    del made
    _check(LocalSteps(path.parent), int(path.name), under="params/")
    arrays = stored_arrays(path / "params")
    shapes = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}
    return unflatten_dict(shapes, sep="/")


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
