"""Checkpoints of a workdir: `checkpoints/<step>/{params,optimizer,data}`, written by Orbax and sealed.

Orbax keeps no checksum of an array: a bit that flips on the disk is read as another number. So a step is saved as
`<step>.partial`, sealed with the hashes of its files (`seal.py`), and only then named `<step>`: what has such a name was once
complete, and whoever reads it finds by the seal whether it still is. Damaged steps are set aside as `<step>.damaged` and
never deleted here.
"""

import functools
import hashlib
import json
import logging
import math
import pathlib
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from data_pipelines.errors import UserError
from data_pipelines.json_object import read_json
from protclip_jax import seal
from protclip_jax.config_fields import is_number
from protclip_jax.stored_arrays import stored_arrays

KEEP_LATEST = 2
"""The newest steps that stay: the last may be damaged when a machine dies."""

METRICS = "metrics.json"
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

    def __init__(self, workdir: pathlib.Path, *, keep_best: int, best: Best = RETRIEVAL):
        self._folder = (workdir / "checkpoints").absolute()
        self._keep_best, self._best = keep_best, best
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._saving: Future | None = None
        if jax.process_index() == 0:
            for leftover in self._folder.glob("*.partial*"):
                shutil.rmtree(leftover, ignore_errors=True)

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
        for step in reversed(_steps(self._folder)):
            reason = seal.find_damage(self._folder / str(step))
            if reason is None:
                break
            damaged[step] = reason
        else:
            if not damaged:
                return None
            told = "; ".join(f"{step}: {reason}" for step, reason in damaged.items())
            raise UserError(
                f"every checkpoint in {self._folder} is damaged ({told}); put a copy of one in place, "
                "or remove the folder to begin again."
            )
        for bad, reason in damaged.items():
            aside = _set_aside(self._folder / str(bad))
            print(f"warning: checkpoint {bad} is damaged ({reason}) and now {aside}; going on from {step}.", file=sys.stderr)
        return step

    def save(self, step: int, *, params: Any, optimizer: Any, data: Any, metrics: Mapping[str, float]) -> None:
        """Starts saving one step in the background; waits for an earlier save that is still running.

        `data` is a tree of arrays that all hosts hold alike: where the input stands, and whatever else a run continues from.
        `metrics` are the evaluations', among them the one by which the best checkpoint is chosen; empty where this step was
        not evaluated. Raises what the earlier save could not do.
        """
        self._wait()
        partial = self._folder / f"{step}.partial"
        items = {"params": params, "optimizer": optimizer, "data": data}
        writing = ocp.save_checkpointables_async(partial, items, overwrite=True)
        self._saving = self._thread.submit(self._finish, writing, step, dict(metrics))

    def _finish(self, writing: ocp.AsyncResponse, step: int, metrics: Mapping[str, float]) -> None:
        writing.result()
        if jax.process_index() == 0:
            _publish(self._folder / f"{step}.partial", metrics, self._best)
            self._remove_old()

    def _remove_old(self) -> None:
        for step in set(_steps(self._folder)[:-KEEP_LATEST]) - _worth_keeping(self._folder, self._best, self._keep_best):
            # A removal that is cut off leaves no step that lacks files.
            partial = (self._folder / str(step)).rename(self._folder / f"{step}.partial")
            shutil.rmtree(partial, ignore_errors=True)

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
        restored = ocp.load_checkpointables(self._folder / str(step), {"params": params, "optimizer": optimizer, "data": data})
        return restored["params"], restored["optimizer"], restored["data"]

    def close(self) -> None:
        """Waits for the running save and ends the thread; raises what the save could not do."""
        with self._thread:
            self._wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        self.close()


def _publish(partial: pathlib.Path, metrics: Mapping[str, float], best: Best) -> None:
    """Seals a complete folder `<step>.partial` and gives it its name."""
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    (partial / METRICS).write_text(json.dumps({"metrics": finite, "best": best._asdict()}) + "\n")
    seal.write(partial)
    partial.rename(partial.with_suffix(""))


def _set_aside(path: pathlib.Path) -> pathlib.Path:
    aside, count = path.with_suffix(".damaged"), 1
    while aside.exists():
        count += 1
        aside = path.with_suffix(f".damaged-{count}")
    return path.rename(aside)


def _steps(folder: pathlib.Path) -> list[int]:
    """The steps that were once complete, ascending."""
    return sorted(int(path.name) for path in folder.glob("*") if path.name.isdecimal())


class _Judged(NamedTuple):
    """What a step's `METRICS` say."""

    metrics: Mapping[str, float]
    best: Best

    def score(self, best: Best) -> float | None:
        """The larger the better; None where it was not measured."""
        value = self.metrics.get(best.metric)
        return None if not is_number(value) else value if best.mode == "max" else -value


def _judged(folder: pathlib.Path, step: int) -> _Judged:
    _check(folder / str(step), under=METRICS)
    stored = read_json(folder / str(step) / METRICS)
    metrics, best = stored.get("metrics"), stored.get("best")
    if not isinstance(metrics, dict) or not isinstance(best, dict):
        return _Judged({RETRIEVAL.metric: stored.get("mrr")}, RETRIEVAL)
    return _Judged(metrics, Best(str(best.get("metric")), str(best.get("mode"))))


def _ranked(judged: Mapping[int, _Judged], best: Best) -> list[int]:
    """The steps that were measured by it, the best first, the later of equals first."""
    scores = {step: score for step, of_step in judged.items() if (score := of_step.score(best)) is not None}
    return sorted(scores, key=lambda step: (scores[step], step), reverse=True)


def _worth_keeping(folder: pathlib.Path, best: Best, count: int) -> set[int]:
    """The `count` best steps, and those that nobody can judge, as their metrics are damaged.

    Where no step was measured by `best`, the last of the rules that steps were saved under and some were measured by decides.
    """
    judged, unknown = {}, set()
    for step in _steps(folder):
        try:
            judged[step] = _judged(folder, step)
        except UserError:
            unknown.add(step)
    rules = [best, *(judged[step].best for step in sorted(judged, reverse=True))]
    ranked = next(filter(None, (_ranked(judged, rule) for rule in rules)), [])
    return unknown | set(ranked[:count])


def _check(path: pathlib.Path, *, under: str) -> None:
    """Raises UserError, with the steps that could be used instead, where a part of a checkpoint is damaged."""
    if reason := seal.find_damage(path, under=under):
        others = ", ".join(str(step) for step in _steps(path.parent) if str(step) != path.name)
        fix = f", or name another step (it has {others})" if others else ""
        raise UserError(f"the checkpoint {path} is damaged ({reason}); put a copy of it in place{fix}.")


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
    steps = _steps(folder)
    if not steps:
        raise UserError(f"{folder} holds no complete checkpoint yet.")
    if step in (None, "best"):
        judged = {number: _judged(folder, number) for number in steps}
        return next(iter(_ranked(judged, judged[steps[-1]].best)), steps[-1])
    if step == "latest":
        return steps[-1]
    if int(step) not in steps:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, steps))}.")
    return int(step)


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint that holds parameters only: for evaluation, conversion, or `init` of another run."""
    partial = (workdir / "checkpoints" / f"{step}.partial").absolute()
    ocp.save_checkpointables(partial, {"params": params}, overwrite=True)
    _publish(partial, {}, RETRIEVAL)


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
    _check(path, under="params/")
    arrays = stored_arrays(path / "params")
    shapes = {name: jax.ShapeDtypeStruct(array.shape, array.dtype) for name, array in arrays.items()}
    return unflatten_dict(shapes, sep="/")


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
