"""Writes, checks and reads a checkpoint's parameters, in any dtype and sharding."""

import functools
import hashlib
import os
import pathlib
from collections.abc import Collection, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from etils import epath
from orbax.checkpoint import v1 as ocp

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints.best import RETRIEVAL, check_intact, metrics_text
from protclip_jax.checkpoints.other_folders import require_storable
from protclip_jax.checkpoints.step_folders import CHECKPOINTS, complete_steps, seal
from protclip_jax.checkpoints.stored_arrays import root_cause, stored_arrays

_SHOWN = 4
"""The maximum number of parameters named in an error."""


def save_params(workdir: pathlib.Path, params: Any, *, step: int = 0) -> None:
    """Writes a checkpoint with parameters only, for evaluation, conversion, or `init`."""
    folder = epath.Path((workdir / CHECKPOINTS / str(step)).absolute())
    require_storable(folder)
    ocp.save_checkpointables(folder, {"params": params}, overwrite=True)
    seal(folder, metrics_text({}, RETRIEVAL))


def stored_groups(workdir: pathlib.Path, step: int) -> frozenset[str]:
    """The parameter groups (`protein`, `text`, …) of a checkpoint; a lone tower is one group.

    Raises:
      UserError: the checkpoint is damaged.
    """
    return frozenset(_stored(workdir, step))


def params_fingerprint(params: Any) -> str:
    """SHA-256 (hex) of every parameter's path, dtype, shape and bytes.

    It is equal for equal parameters, however they are stored.
    """
    digest = hashlib.sha256()
    for name, leaf in sorted(_named(params)):
        array = np.ascontiguousarray(leaf)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.view(np.uint8).data)
    return digest.hexdigest()


def load_params(workdir: pathlib.Path, step: int, abstract: Any) -> Any:
    """Reads a checkpoint's parameters with `abstract`'s shapes, dtypes and shardings.

    The number of devices may differ from that at saving. `abstract` may have some groups
    (`protein`, `text`, …) only; the others are not read.

    Raises:
      UserError: the checkpoint is damaged, or a parameter is missing, has another shape, is extra
        in a group that is read, or is not finite.
    """
    path = (workdir / CHECKPOINTS / str(step)).absolute()
    stored = _stored(workdir, step)
    wanted = dict(_named(abstract))
    _check_fit(path, stored, wanted, groups=abstract)
    template = jax.tree.map_with_path(
        lambda key, _: wanted.get(_name(key), ocp.PLACEHOLDER), stored
    )
    try:
        loaded = dict(_named(ocp.load_checkpointables(path, {"params": template})["params"]))
        if any(
            not isinstance(loaded[name], jax.Array) or loaded[name].shape != leaf.shape
            for name, leaf in wanted.items()
        ):
            raise ValueError("it holds something else than it says")
    except Exception as error:  # a hostile file can raise anything, even if sealed
        reason = root_cause(error)
        raise UserError(
            f"{path} cannot be loaded ({reason}); get a fresh copy of the checkpoint."
        ) from error
    _check_finite(path, {name: loaded[name] for name in wanted})
    return jax.tree.map_with_path(lambda key, _: loaded[_name(key)], abstract)


def _check_fit(
    path: pathlib.Path, stored: Any, wanted: Mapping[str, Any], *, groups: Collection[str]
) -> None:
    """Raises UserError, listing all differences, if the stored `groups` are not as wanted."""
    shapes = {name: tuple(leaf.shape) for name, leaf in _named(stored)}
    different = [name for name, leaf in wanted.items() if shapes.get(name) != tuple(leaf.shape)]
    differences = [
        f"{name} is {shapes.get(name, 'missing')} in the checkpoint, but should be "
        f"{tuple(wanted[name].shape)}"
        for name in different
    ]
    unused = [name for name in shapes if name not in wanted and name.partition("/")[0] in groups]
    differences += [
        f"{name} is in the checkpoint, but this model has no such parameter" for name in unused
    ]
    if differences:
        more = f"; and {len(differences) - _SHOWN} more" if len(differences) > _SHOWN else ""
        parameters = (
            "the parameter" if len(differences) == 1 else f"{len(differences)} parameters differ:"
        )
        raise UserError(f"{path}: {parameters} {'; '.join(differences[:_SHOWN])}{more}.")


def _check_finite(path: pathlib.Path, params: Mapping[str, jax.Array]) -> None:
    """Raises UserError if a parameter is NaN or infinite, since all results would be invalid."""
    finite = jax.device_get(jax.jit(_are_finite)(params))
    if broken := [name for name in params if not finite[name]]:
        others = [
            str(other)
            for other in complete_steps(epath.Path(path.parent))
            if other != int(path.name)
        ]
        fix = f"use another step (it has {', '.join(others)})" if others else "use other weights"
        more = f" and {len(broken) - 1} others hold" if len(broken) > 1 else " holds"
        raise UserError(
            f"{path}: the parameter {broken[0]}{more} NaN or infinity, as a run that "
            f"diverged leaves them; {fix}."
        )


def _are_finite(params: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
    return {name: jnp.isfinite(array).all() for name, array in params.items()}


def _stored(workdir: pathlib.Path, step: int) -> Any:
    """Metadata of an intact checkpoint's parameters, as a tree."""
    path = (workdir / CHECKPOINTS / str(step)).absolute()
    require_storable(path)
    return _checked(path, _state(path))


@functools.lru_cache(maxsize=8)
def _checked(path: pathlib.Path, state: tuple) -> Any:
    """`_stored` of a path; cached per `state`, since hashing large parameters takes seconds."""
    del state
    check_intact(epath.Path(path.parent), int(path.name), under="params/")
    return stored_arrays(path)


def _state(folder: pathlib.Path) -> tuple:
    """The metadata of every file below a folder; any write to a file changes it."""
    states = {}
    for parent, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(parent, name)
            about = os.stat(path) if os.path.exists(path) else os.lstat(path)
            states[path] = (about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    return tuple(sorted(states.items()))


def _named(tree: Any) -> list[tuple[str, Any]]:
    return [(_name(path), leaf) for path, leaf in jax.tree.leaves_with_path(tree)]


def _name(path) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")
