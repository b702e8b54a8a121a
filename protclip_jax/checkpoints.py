"""Checkpoints of a workdir: `checkpoints/<step>/{params,optimizer,data}`, written by Orbax."""

import hashlib
import pathlib
from typing import Any

import jax
import numpy as np
from orbax.checkpoint import v1 as ocp

from data_pipelines.errors import UserError

POLICIES = ocp.training.preservation_policies


class Checkpoints:
    """Saves and restores the training state of a workdir; keeps the latest and the `keep_best` best by MRR."""

    def __init__(self, workdir: pathlib.Path, *, keep_best: int):
        # The latest two stay: the newest may be damaged when a machine dies.
        self._checkpointer = ocp.training.Checkpointer(
            (workdir / "checkpoints").absolute(),
            preservation_policy=POLICIES.AnyPreservationPolicy(
                [
                    POLICIES.LatestN(2),
                    POLICIES.BestN(
                        get_metric_fn=lambda metrics: metrics["mrr"], n=keep_best, keep_checkpoints_without_metrics=False
                    ),
                ]
            ),
            cleanup_tmp_directories=True,
        )

    @property
    def latest_step(self) -> int | None:
        """The newest complete checkpoint, or None."""
        latest = self._checkpointer.latest
        return None if latest is None else latest.step

    def save(self, step: int, *, params: Any, optimizer: Any, data: np.ndarray, mrr: float | None) -> None:
        """Starts saving one step in the background; waits for an earlier save that is still running.

        `mrr` is the evaluation's, by which the best checkpoint is chosen; None where this step was not evaluated.
        """
        self._checkpointer.save_checkpointables_async(
            step,
            {"params": params, "optimizer": optimizer, "data": {"streams": data}},
            metrics=None if mrr is None else {"mrr": mrr},
            force=True,
        )

    def restore(self, step: int, *, params: Any, optimizer: Any, data: np.ndarray) -> tuple[Any, Any, np.ndarray]:
        """Restores (params, optimizer, stream states) into the shapes and shardings of the given abstract trees."""
        restored = self._checkpointer.load_checkpointables(
            step, {"params": params, "optimizer": optimizer, "data": {"streams": data}}
        )
        return restored["params"], restored["optimizer"], restored["data"]["streams"]

    def close(self) -> None:
        """Waits for the running save and ends Orbax's threads; raises what went wrong in the background."""
        self._checkpointer.close()


def resolve_step(workdir: pathlib.Path, step: str | int | None = None) -> int:
    """The step that `--step N|best|latest` names; by default the best if one is recorded, else the latest.

    Raises:
      UserError: there is no such checkpoint.
    """
    if step not in (None, "best", "latest") and not str(step).isdecimal():
        raise UserError(f"--step={step} is neither a number nor best nor latest.")
    folder = workdir / "checkpoints"
    if not folder.is_dir():
        raise UserError(f"{workdir} holds no checkpoints/ folder; give a workdir or a converted checkpoint.")
    with ocp.training.Checkpointer(folder.absolute()) as checkpointer:
        metrics = {checkpoint.step: checkpoint.metrics for checkpoint in checkpointer.checkpoints}
    if not metrics:
        raise UserError(f"{folder} holds no complete checkpoint yet.")
    scored = {number: m["mrr"] for number, m in metrics.items() if m and "mrr" in m}
    if step == "latest" or (step in (None, "best") and not scored):
        return max(metrics)
    if step in (None, "best"):
        return max(scored, key=lambda number: (scored[number], number))
    if int(step) not in metrics:
        raise UserError(f"{folder} has no step {step}; it has {', '.join(map(str, sorted(metrics)))}.")
    return int(step)


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint that holds parameters only: for evaluation, conversion, or `init` of another run."""
    with ocp.training.Checkpointer((workdir / "checkpoints").absolute()) as checkpointer:
        checkpointer.save_checkpointables(step, {"params": params})


def stored_groups(workdir: pathlib.Path, step: int) -> frozenset[str]:
    """The parameter groups (`protein`, `text`, `protein_projection`, …) that a checkpoint holds; a lone tower is one."""
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
      UserError: a parameter is absent there, has another shape, or is left over in a group that is read.
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
    loaded = dict(_named(ocp.load_checkpointables(path, {"params": template})["params"]))
    return jax.tree.map_with_path(lambda key, _: loaded[_name(key)], abstract)


def _stored(workdir: pathlib.Path, step: int) -> Any:
    """Metadata of a checkpoint's parameters, as a tree."""
    return ocp.checkpointables_metadata((workdir / "checkpoints" / str(step)).absolute()).metadata["params"]


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
