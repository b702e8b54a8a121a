"""A workdir, which is also what `--checkpoint DIR` means: config.json, tokenizers/, checkpoints/, and its lock."""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import pathlib
import reprlib
import sys
from collections.abc import Mapping
from typing import Self

import jax

from data_pipelines import protein_tokenizer
from data_pipelines.disk_errors import told_disk_errors
from data_pipelines.errors import UserError
from data_pipelines.json_object import read_json
from data_pipelines.text_tokenizer import TextTokenizer
from protclip_jax import config_fields

FORMAT_VERSION = 1
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")

CHANGEABLE = (
    *("total_steps", "log_every", "eval_every", "checkpoint_every", "keep_best", "best", "evals", "mesh", "init"),
    *("max_skipped_steps", "gradient_norms_every", "stall_seconds"),
    *("data.dir", "data.workers", "tokenizer.text", "model.attention", "model.remat"),
    *("batch.microbatch_rows", "loss.contrast_chunk"),
)
"""Fields, with all below them, that a resumed run may change: they alter neither the network, nor what it learns from, nor how.

`data.dir` and `tokenizer.text` are other paths to the same contents. With another `total_steps` the learning rate follows the
schedule of that number from the step on at which the run goes on.
"""


KEPT = "it goes on from the last checkpoint"
"""What another run of the same command does after one that failed."""


class LocalWorkdir:
    """Where a run keeps its files, in a file system that all hosts see. `bucket_workdir.BucketWorkdir` is its like.

    Attributes:
      name: the path as the user gave it.
      folder: what is written into.
      steps: where checkpoints lie if not in `folder`.
    """

    steps = None

    def __init__(self, name: str):
        self.name, self.folder = name, pathlib.Path(name)

    def begin(self) -> None:
        """Takes the workdir for this run, on the first host. Raises as `lock`."""
        self._lock = lock(self.folder) if jax.process_index() == 0 else None

    def share(self) -> None:
        """Nothing: what is written is there."""

    def keep(self, path: pathlib.Path) -> str:
        """Where a new file is kept."""
        return str(path)

    def told_errors(self) -> contextlib.AbstractContextManager:
        """Within it, what the disk refuses is a RunError."""
        return told_disk_errors(f"--workdir={self.name}", kept=KEPT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception) -> None:
        pass


def lock(workdir: pathlib.Path):
    """Takes the workdir for this process; the lock is the operating system's and ends with the process.

    The workdir may be a link; one in it is refused, as a workdir from somebody else may have it lead anywhere.

    Raises:
      UserError: another process trains here, or the folder cannot be written or holds links.
    """
    try:
        workdir.mkdir(parents=True, exist_ok=True)
        if foreign := [path for path in workdir.iterdir() if path.is_symlink() or not (path.is_file() or path.is_dir())]:
            raise UserError(f"{foreign[0]} is a link or no plain file, which training does not write through; copy it.")
        handle = open(workdir / "lock", "a+")  # noqa: SIM115 - held open for the life of the process
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be written ({error.strerror}); choose another folder.") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"--workdir={workdir} is in use by another training process; stop it or choose another folder."
        ) from error
    except OSError as error:
        raise UserError(f"--workdir={workdir} cannot be locked ({error.strerror}); choose a folder on another disk.") from error
    return handle


def adopt(workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer, dataset: str, *, write: bool) -> None:
    """Begins a workdir (in the process that may `write`), or checks that an existing one belongs to this run.

    `dataset` is the dataset's fingerprint. A run that goes on with other versions of libraries says so on stderr.

    Raises:
      UserError: it belongs to another config, dataset or tokenizer, lacks its config.json, or holds parameters without the
        state of their training.
      OSError: it cannot be written.
    """
    # A save that was cut off has another name than a number.
    steps = [path for path in workdir.glob("checkpoints/*") if path.name.isdecimal()]
    if steps and not any((step / "optimizer").exists() for step in steps):
        raise UserError(
            f"--workdir={workdir} holds parameters only and cannot be trained further; "
            "start a new workdir and name this one in --config.init.all."
        )
    if not (workdir / "config.json").exists():
        if steps:
            raise UserError(f"--workdir={workdir} holds checkpoints but no config.json; put a copy of it in place.")
        if write:
            write_metadata(workdir, config, text_tokenizer, dataset=dataset)
        return
    check_same_run(workdir, config, text_tokenizer, dataset)
    stored, ours = read_json(workdir / "config.json").get("versions", {}), versions()
    if write and stored != ours:
        told = ", ".join(
            f"{name} {stored.get(name)} → {ours.get(name)}" for name in LIBRARIES if stored.get(name) != ours.get(name)
        )
        print(
            f"note: {workdir} was begun with other versions ({told}); its numbers may differ in their last bits.",
            file=sys.stderr,
        )


def write_metadata(
    workdir: pathlib.Path,
    config: Mapping,
    text_tokenizer: TextTokenizer | None,
    *,
    dataset: str | None = None,
    source: Mapping | None = None,
) -> None:
    """Writes config.json and tokenizers/{protein,text}/ of a new workdir.

    A checkpoint without a text tower has no text tokenizer. `dataset` is the fingerprint of what a trained one learns from,
    `source` says what a converted one was made from.
    """
    protein_tokenizer.save(workdir / "tokenizers" / "protein")
    if text_tokenizer is not None:
        text_tokenizer.save(workdir / "tokenizers" / "text")
    metadata = {
        "format_version": FORMAT_VERSION,
        "config": dict(config),
        "versions": versions(),
    }
    if dataset is not None:
        metadata["dataset"] = dataset
    if source is not None:
        metadata["source"] = dict(source)
    partial = workdir / "config.json.partial"
    partial.write_text(json.dumps(metadata, indent=2) + "\n")
    os.replace(partial, workdir / "config.json")


def versions() -> dict[str, str]:
    """The installed versions of `LIBRARIES`; converting and embedding do without grain."""
    installed = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def read_config(workdir: pathlib.Path) -> dict:
    """The config stored in a workdir. It may be a stranger's: whatever known field it has is of the right type and size.

    Raises:
      UserError: no checkpoint folder, damaged metadata, or another format version.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise UserError(f"{workdir} is no checkpoint folder: it has no config.json.")
    metadata = read_json(path)
    version, config = metadata.get("format_version"), metadata.get("config")
    if version is None or not isinstance(config, dict):
        raise UserError(f"{path} is damaged: it is no JSON object with format_version and config.")
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {reprlib.repr(version)}, this program reads {FORMAT_VERSION}; convert it first."
        )
    config_fields.check_present(config, name=str(path))
    return config


def read_model_config(workdir: pathlib.Path) -> dict:
    """The config stored in a workdir, with all that a model needs.

    Raises:
      UserError: as `read_config`, or it does not describe a model.
    """
    config = read_config(workdir)
    config_fields.require_model(config, name=str(workdir / "config.json"))
    return config


def check_same_run(workdir: pathlib.Path, config: Mapping, text_tokenizer: TextTokenizer, dataset: str) -> None:
    """Raises `UserError`, with the differences, when a workdir's run trains differently, or with other data or words."""
    began = read_config(workdir)
    stored, wanted = _decisive(began), _decisive(json.loads(json.dumps(config)))
    if different := sorted(key for key in stored.keys() | wanted.keys() if stored.get(key) != wanted.get(key)):
        was_now = ((key, *(reprlib.repr(fields.get(key)) for fields in (stored, wanted))) for key in different[:5])
        shown = "; ".join(f"{key} was {was}, now {now}" for key, was, now in was_now)
        raise UserError(f"--workdir={workdir} belongs to another config ({shown}); use another workdir.")
    kept = load_text_tokenizer(workdir)
    if (kept.vocabulary, kept.normalization) != (text_tokenizer.vocabulary, text_tokenizer.normalization):
        raise UserError(
            f"tokenizer.text={config['tokenizer']['text']} is another tokenizer than {workdir / 'tokenizers' / 'text'}, "
            f"with which --workdir={workdir} was begun; name that one, or use another workdir."
        )
    if read_json(workdir / "config.json").get("dataset") != dataset:
        raise UserError(
            f"data.dir={config['data']['dir']} is another dataset than the one that --workdir={workdir} was begun with "
            f"(then {began.get('data', {}).get('dir')}); name that one or a copy of it, or use another workdir."
        )


def _decisive(config: Mapping) -> dict:
    """The fields, by their dotted names, that decide what a run learns."""
    changeable = tuple(f"{name}." for name in CHANGEABLE)
    return {name: value for name, value in flat(config).items() if not f"{name}.".startswith(changeable)}


def flat(tree: Mapping, prefix: str = "") -> dict:
    """A nested config as one mapping from dotted names to values."""
    fields = {}
    for key, value in tree.items():
        fields.update(flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return fields


def load_text_tokenizer(workdir: pathlib.Path) -> TextTokenizer:
    """The text tokenizer kept beside a checkpoint."""
    return TextTokenizer.load(workdir / "tokenizers" / "text")
