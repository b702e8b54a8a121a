"""Recognises folders given as a checkpoint that are not one, and suggests a fix."""

import os
import pathlib
import shlex
from collections.abc import Iterator, Mapping

from data_pipelines.common.errors import UserError, require_utf8
from data_pipelines.common.json_object import read_json
from protclip_jax.checkpoints.step_folders import CHECKPOINTS

MERGE_ADAPTERS = (
    "merge them into their model (`merge_and_unload` of peft), save that and convert it"
)
EXPORTED = "protclip_config.json"
"""A file in folders written by `convert to_hf`."""
_GIVE = "give the folder of a training run or of a converted checkpoint"
_CONVERT = "python -m protclip_jax.convert"
_TOWERS = {"esm": "--protein", "bert": "--text"}
"""The options of `convert hf`, by Hugging Face's `model_type`."""


def not_a_checkpoint(folder: pathlib.Path) -> UserError:
    """The error for a path without a config.json of ours, or without steps."""
    return UserError(next(_sentences(folder)))


def require_storable(folder: str | os.PathLike) -> None:
    """Raises UserError for a path that TensorStore, Orbax' storage library, would misread."""
    path = os.path.abspath(folder)
    require_utf8(path)
    if "\\" in path:
        raise UserError(
            f"{path} has a backslash, which TensorStore takes for a slash; rename the "
            "folder, or make a link."
        )


def _sentences(folder: pathlib.Path) -> Iterator[str]:
    """Yields all suggestions that apply, the most helpful first."""
    if not folder.exists():
        yield f"{folder} does not exist; {_GIVE}."
    if not folder.is_dir():
        yield f"{folder} is a file; {_GIVE}."
    yield from _of_part(pathlib.Path(os.path.abspath(folder)))
    if (folder / EXPORTED).is_file():
        run = f"{_CONVERT} params --checkpoint {shlex.quote(str(folder))} --output DIR"
        yield f"{folder} was written by `convert to_hf`; for training run `{run}` and give DIR."
    if (folder / "adapter_config.json").is_file():
        yield f"{folder} holds adapters alone; {MERGE_ADAPTERS}."
    if (folder / "config.json").is_file():
        config = read_json(folder / "config.json")
        yield from _of_hugging_face(folder, config)
        if "format_version" not in config or not isinstance(config.get("config"), dict):
            yield (
                f"{folder / 'config.json'} is not that of a checkpoint, which has format_version "
                f"and config; {_GIVE}."
            )
    if (folder / "config.json").is_file() and not (folder / CHECKPOINTS).exists():
        yield (
            f"{folder} is a training run that has not saved a checkpoint yet; wait for "
            "its first, or copy checkpoints/ too."
        )
    missing = [name for name in ("config.json", f"{CHECKPOINTS}/") if not (folder / name).exists()]
    yield f"{folder} is not a checkpoint folder: it lacks {' and '.join(missing)}; {_GIVE}."


def _of_part(path: pathlib.Path) -> Iterator[str]:
    """Suggestions for a folder within a checkpoint: `checkpoints/`, a step, or a part of one."""
    below = ""
    for parent in (path, *path.parents[:2]):
        root = parent.parent
        if parent.name == CHECKPOINTS and (root / "config.json").is_file():
            step = f", and its step with --step {int(below)}" if below.isdecimal() else ""
            yield f"{path} is a part of the checkpoint {root}; give that folder{step}."
        below = parent.name


def _of_hugging_face(folder: pathlib.Path, config: Mapping) -> Iterator[str]:
    """Suggestions for weights that `convert` reads, or would read if they were of another kind."""
    quoted = shlex.quote(str(folder))
    if "protein_model_config" in config:
        yield (
            f"{folder} is a released ProtCLIP; run `{_CONVERT} protclip --source {quoted} "
            "--output DIR` and give DIR."
        )
    kind = config.get("model_type")
    if isinstance(kind, str) and kind in _TOWERS:
        run = f"{_CONVERT} hf {_TOWERS[kind]} {quoted} --output DIR"
        yield f"{folder} is a Hugging Face folder; run `{run}` and give DIR."
    if kind is not None or "architectures" in config:
        yield f"{folder} is a Hugging Face folder of another model than ESM-2 or BERT; {_GIVE}."
