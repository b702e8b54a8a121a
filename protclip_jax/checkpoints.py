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
import pathlib
import shutil
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Self

import jax
import numpy as np
from flax.traverse_util import unflatten_dict
from jax.experimental import multihost_utils
from orbax.checkpoint import v1 as ocp

from data_pipelines.errors import UserError
from data_pipelines.json_object import read_json
from protclip_jax import seal
from protclip_jax.stored_arrays import stored_arrays

KEEP_LATEST = 2
"""The newest steps that stay: the last may be damaged when a machine dies."""

METRICS = "metrics.json"
_NO_STEP = -1


def _is_not_told_again(record: logging.LogRecord) -> bool:
    """False for the tracebacks that Orbax logs of an error in each of its threads, which arrives here as an exception."""
    return "_SignalingThread.run() raised" not in record.getMessage()


logging.getLogger("absl").addFilter(_is_not_told_again)


class Checkpoints:
    """Saves and restores the training state of a workdir; keeps the latest and the `keep_best` best by MRR.

    All hosts call every method alike. A context manager, which at its end waits for the running save.
    """

    def __init__(self, workdir: pathlib.Path, *, keep_best: int):
        self._folder = (workdir / "checkpoints").absolute()
        self._keep_best = keep_best
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

    def save(self, step: int, *, params: Any, optimizer: Any, data: Any, mrr: float | None) -> None:
        """Starts saving one step in the background; waits for an earlier save that is still running.

        `data` is a tree of arrays that all hosts hold alike: where the input stands, and whatever else a run continues from.
        `mrr` is the evaluation's, by which the best checkpoint is chosen; None where this step was not evaluated. Raises what
        the earlier save could not do.
        """
        self._wait()
        partial = self._folder / f"{step}.partial"
        items = {"params": params, "optimizer": optimizer, "data": data}
        writing = ocp.save_checkpointables_async(partial, items, overwrite=True)
        self._saving = self._thread.submit(self._finish, writing, step, mrr)

    def _finish(self, writing: ocp.AsyncResponse, step: int, mrr: float | None) -> None:
        writing.result()
        if jax.process_index() == 0:
            _publish(self._folder / f"{step}.partial", mrr)
            self._remove_old()

    def _remove_old(self) -> None:
        for step in set(_steps(self._folder)[:-KEEP_LATEST]) - _best(self._folder, self._keep_best):
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


def _publish(partial: pathlib.Path, mrr: float | None) -> None:
    """Seals a complete folder `<step>.partial` and gives it its name."""
    (partial / METRICS).write_text(json.dumps({"mrr": mrr}) + "\n")
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


def _best(folder: pathlib.Path, count: int) -> set[int]:
    """The `count` steps of highest MRR, the later of equals; with those that nobody can judge, as their metrics are damaged."""
    scores, unknown = {}, set()
    for step in _steps(folder):
        try:
            scores[step] = _mrr(folder, step)
        except UserError:
            unknown.add(step)
    scored = [step for step, mrr in scores.items() if mrr is not None]
    return unknown | set(sorted(scored, key=lambda step: (scores[step], step), reverse=True)[:count])


def _mrr(folder: pathlib.Path, step: int) -> float | None:
    _check(folder / str(step), under=METRICS)
    mrr = read_json(folder / str(step) / METRICS).get("mrr")
    return mrr if isinstance(mrr, int | float) else None


def _check(path: pathlib.Path, *, under: str) -> None:
    """Raises UserError, with the steps that could be used instead, where a part of a checkpoint is damaged."""
    if reason := seal.find_damage(path, under=under):
        others = ", ".join(str(step) for step in _steps(path.parent) if str(step) != path.name)
        fix = f", or name another step (it has {others})" if others else ""
        raise UserError(f"the checkpoint {path} is damaged ({reason}); put a copy of it in place{fix}.")


def resolve_step(workdir: pathlib.Path, step: str | int | None = None) -> int:
    """The step that `--step N|best|latest` names; by default the best if one is recorded, else the latest.

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
        scores = {number: mrr for number in steps if (mrr := _mrr(folder, number)) is not None}
        return max(scores, key=lambda number: (scores[number], number), default=steps[-1])
    if step == "latest":
        return steps[-1]
    if int(step) not in steps:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, steps))}.")
    return int(step)


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint that holds parameters only: for evaluation, conversion, or `init` of another run."""
    partial = (workdir / "checkpoints" / f"{step}.partial").absolute()
    ocp.save_checkpointables(partial, {"params": params}, overwrite=True)
    _publish(partial, None)


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
