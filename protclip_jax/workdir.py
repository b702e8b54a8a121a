"""A workdir, which is also what `--checkpoint DIR` means: config.json, tokenizers/, checkpoints/, and its lock."""

import fcntl
import importlib.metadata
import json
import os
import pathlib
from collections.abc import Mapping

from data_pipelines import protein_tokenizer
from data_pipelines.errors import UserError
from data_pipelines.text_tokenizer import TextTokenizer

FORMAT_VERSION = 1
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

CHANGEABLE = frozenset({"total_steps", "log_every", "eval_every", "checkpoint_every", "keep_best", "evals", "mesh", "init"})
"""Top-level fields that a resumed run may change: they alter neither the network nor the data order."""


def lock(workdir: pathlib.Path):
    """Takes the workdir for this process; the lock is the operating system's and ends with the process.

    Raises:
      UserError: another process trains here, or the folder cannot be written.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        handle = open(workdir / "lock", "a+")  # noqa: SIM115 - held open for the life of the process
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written ({error.strerror}); choose another folder.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"--workdir={workdir} is in use by another training process; stop it or choose another folder."
        ) from error
    return handle


def adopt(workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer, *, write: bool) -> None:
    """Begins a workdir (in the process that may `write`), or checks that an existing one belongs to this config.

    Raises:
      UserError: it belongs to another config, or holds parameters without the state of their training.
    """
    # A save that was cut off has another name than a number.
    steps = [path for path in workdir.glob("checkpoints/*") if path.name.isdecimal()]
    if steps and not any((step / "optimizer").exists() for step in steps):
        raise UserError(
            f"--workdir={workdir} holds parameters only and cannot be trained further; "
            "start a new workdir and name this one in --config.init.all."
        )
    if (workdir / "config.json").exists():
        check_same_run(workdir, config)
    elif write:
        write_metadata(workdir, config, text_tokenizer)


def write_metadata(
    workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer | None, *, source: Mapping | None = None
) -> None:
    """Writes config.json and tokenizers/{protein,text}/ of a new workdir.

    A checkpoint without a text tower has no text tokenizer; `source` says what a converted one was made from.
    """
    protein_tokenizer.save(workdir / "tokenizers" / "protein")
    if text_tokenizer is not None:
        text_tokenizer.save(workdir / "tokenizers" / "text")
    metadata = {
        "format_version": FORMAT_VERSION,
        "config": dict(config),
        "versions": {name: version for name in LIBRARIES if (version := _version(name))},
    }
    if source is not None:
        metadata["source"] = dict(source)
    partial = workdir / "config.json.partial"
    partial.write_text(json.dumps(metadata, indent=2) + "\n")
    os.replace(partial, workdir / "config.json")


def _version(library: str) -> str | None:
    """None for one that is not installed: converting and embedding do without grain."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def read_config(workdir: pathlib.Path) -> dict:
    """The config stored in a workdir.

    Raises:
      UserError: no checkpoint folder, damaged metadata, or another format version.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{workdir} is no checkpoint folder: it has no config.json.")
    try:
        metadata = json.loads(path.read_text())
        version, config = metadata["format_version"], metadata["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged: it is no JSON object with format_version and config.") from error
    if version != FORMAT_VERSION:
        raise UserError(f"{path} has format version {version}, this program reads {FORMAT_VERSION}; convert it first.")
    return config


def check_same_run(workdir: pathlib.Path, config: Mapping) -> None:
    """Raises `UserError` with the differences when a workdir was made by a config that trains differently."""
    stored = _flat({k: v for k, v in read_config(workdir).items() if k not in CHANGEABLE})
    wanted = _flat(json.loads(json.dumps({k: v for k, v in config.items() if k not in CHANGEABLE})))
    different = sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key))
    if different:
        shown = "; ".join(f"{key} was {stored.get(key)}, now {wanted.get(key)}" for key in different[:5])
        raise UserError(f"--workdir={workdir} belongs to another config ({shown}); use another workdir.")


def _flat(tree: Mapping, prefix: str = "") -> dict:
    flat = {}
    for key, value in tree.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def load_text_tokenizer(workdir: pathlib.Path) -> TextTokenizer:
    """The text tokenizer kept beside a checkpoint."""
    return TextTokenizer.load(workdir / "tokenizers" / "text")
