"""config.json and tokenizers/ of a checkpoint, which describe its model and how it was made."""

import contextlib
import hashlib
import importlib.metadata
import json
import pathlib
import reprlib
from collections.abc import Mapping

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.json_object import MAX_FILE_BYTES, read_json
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints.other_folders import not_a_checkpoint
from protclip_jax.config import checks

FORMAT_VERSION = 1
TOKENIZERS, SEAL = "tokenizers", "seal"
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def write_metadata(
    workdir: pathlib.Path,
    config: Mapping,
    text_tokenizer: TextTokenizer | None,
    *,
    dataset: str | None = None,
    source: Mapping | None = None,
) -> None:
    """Writes config.json and tokenizers/{protein,text}/ of a new workdir, sealed (`save_sealed`).

    A checkpoint without a text tower has no text tokenizer. `dataset` is the fingerprint of the
    training data, `source` describes what a converted checkpoint was made from.
    """
    protein_tokenizer.save(workdir / TOKENIZERS / "protein")
    if text_tokenizer is not None:
        text_tokenizer.save(workdir / TOKENIZERS / "text")
    metadata = {
        "format_version": FORMAT_VERSION,
        "config": dict(config),
        "versions": versions(),
        TOKENIZERS: tokenizer_files(workdir),
    }
    if dataset is not None:
        metadata["dataset"] = dataset
    if source is not None:
        metadata["source"] = dict(source)
    save_sealed(workdir, metadata)


def save_sealed(workdir: pathlib.Path, metadata: Mapping) -> None:
    """Writes config.json with a seal: the SHA-256 of its other content.

    The content includes the hashes of the tokenizers' files.
    """
    sealed = {**metadata, SEAL: _seal_of(metadata)}
    atomic_write(workdir / "config.json", json.dumps(sealed, indent=2) + "\n")


def check_sealed(workdir: pathlib.Path, metadata: Mapping) -> None:
    """Raises UserError if config.json or a tokenizer was changed.

    Older checkpoints have no seal.
    """
    if SEAL not in metadata:
        return
    path, fix = (
        workdir / "config.json",
        f"replace it with an intact copy or, if the change is intended, remove the field {SEAL} "
        "of config.json",
    )
    if metadata[SEAL] != _seal_of(metadata):
        raise UserError(f"{path} was changed after it was written; {fix}.")
    sealed, present = metadata.get(TOKENIZERS), tokenizer_files(workdir)
    if not isinstance(sealed, dict):
        raise UserError(f"{path} is damaged: it does not list the tokenizers' files; {fix}.")
    for name in sorted(sealed.keys() | present.keys()):
        if sealed.get(name) != present.get(name):
            what = (
                "is missing"
                if name not in present
                else "is not of the checkpoint"
                if name not in sealed
                else "has changed"
            )
            raise UserError(
                f"{workdir / TOKENIZERS / name} {what}, which would change how texts are read; "
                f"{fix}."
            )


def tokenizer_files(workdir: pathlib.Path) -> dict[str, str]:
    """SHA-256 of every file of the tokenizers, by name.

    Files whose names begin with a dot belong to file managers and are skipped.
    """
    folder = workdir / TOKENIZERS
    files = (
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    )
    return {path.relative_to(folder).as_posix(): _digest(path) for path in files}


def _digest(path: pathlib.Path) -> str:
    # No valid tokenizer file is larger.
    size = path.stat().st_size
    return file_sha256(path) if size <= MAX_FILE_BYTES else f"{size} bytes"


def _seal_of(metadata: Mapping) -> str:
    # As it will be read back: JSON has neither tuples nor numeric keys.
    content = json.loads(
        json.dumps({name: value for name, value in metadata.items() if name != SEAL})
    )
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def versions() -> dict[str, str]:
    """The installed versions of `LIBRARIES`; grain is optional for converting and embedding."""
    installed = {}
    for name in LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[name] = importlib.metadata.version(name)
    return installed


def read_config(workdir: pathlib.Path) -> dict:
    """Reads a workdir's config, which may be untrusted: known fields have valid types and sizes.

    Raises:
      UserError: the folder is not a checkpoint, its metadata or tokenizers are damaged, or the
      format version is another.
    """
    path = workdir / "config.json"
    if not path.is_file():
        raise not_a_checkpoint(workdir)
    metadata = read_json(path)
    version, config = metadata.get("format_version"), metadata.get("config")
    if version is None or not isinstance(config, dict):
        raise not_a_checkpoint(workdir)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {reprlib.repr(version)}, but this program reads "
            f"{FORMAT_VERSION}; convert it first."
        )
    checks.check_present(config, name=str(path))
    check_sealed(workdir, metadata)
    return config


def read_model_config(workdir: pathlib.Path) -> dict:
    """Reads the config stored in a workdir, with all fields that a model needs.

    Raises:
      UserError: as `read_config`, or it does not describe a model.
    """
    config = read_config(workdir)
    checks.require_model(config, name=str(workdir / "config.json"))
    return config


def load_text_tokenizer(workdir: pathlib.Path) -> TextTokenizer:
    """The text tokenizer of a checkpoint; `read_config` checks that it is unchanged."""
    return TextTokenizer.load(workdir / TOKENIZERS / "text")
