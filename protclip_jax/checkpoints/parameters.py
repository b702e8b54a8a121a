"""The parameters of a checkpoint: written alone, checked, and read into any shapes, dtypes and shardings."""

import functools
import hashlib
import pathlib
from typing import Any

import jax
import numpy as np
from etils import epath
from orbax.checkpoint import v1 as ocp

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.best import RETRIEVAL, check_intact, metrics_text
from protclip_jax.checkpoints.step_folders import CHECKPOINTS, seal
from protclip_jax.checkpoints.stored_arrays import root_cause, stored_arrays


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint that holds parameters only: for evaluation, conversion, or `init` of another run."""
    folder = epath.Path((workdir / CHECKPOINTS / str(step)).absolute())
    ocp.save_checkpointables(folder, {"params": params}, overwrite=True)
    seal(folder, metrics_text({}, RETRIEVAL))


def stored_groups(workdir: pathlib.Path, step: int) -> frozenset[str]:
    """The parameter groups (`protein`, `text`, `protein_projection`, …) that a checkpoint holds; a lone tower is one.

    Raises:
      UserError: the checkpoint is damaged.
    """
    return frozenset(_stored(workdir, step))


def params_fingerprint(params: Any) -> str:
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
        reason = root_cause(error)
        raise UserError(f"{path} cannot be loaded ({reason}); get the checkpoint anew.") from error
    return jax.tree.map_with_path(lambda key, _: loaded[_name(key)], abstract)


def _stored(workdir: pathlib.Path, step: int) -> Any:
    """Metadata of an intact checkpoint's parameters, as a tree."""
    path = (workdir / "checkpoints" / str(step)).absolute()
    return _checked(path, path.stat().st_mtime_ns)


@functools.cache
def _checked(path: pathlib.Path, made: int) -> Any:
    """Remembered, as the hashes of large parameters take seconds; `made` tells apart checkpoints that had the same path."""
    del made
    check_intact(epath.Path(path.parent), int(path.name), under="params/")
    return stored_arrays(path)


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
