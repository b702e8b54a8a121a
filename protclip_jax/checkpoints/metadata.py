"""config.json and tokenizers/ of a checkpoint: what it is, and how it was made."""

import contextlib
import importlib.metadata
import json
import pathlib
import reprlib
from collections.abc import Mapping

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints.other_folders import not_a_checkpoint
from protclip_jax.config import checks

FORMAT_VERSION = 1
LIBRARIES = ("jax", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


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
    atomic_write(workdir / "config.json", json.dumps(metadata, indent=2) + "\n")


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
        raise not_a_checkpoint(workdir)
    metadata = read_json(path)
    version, config = metadata.get("format_version"), metadata.get("config")
    if version is None or not isinstance(config, dict):
        raise not_a_checkpoint(workdir)
    if version != FORMAT_VERSION:
        raise UserError(
            f"{path} has format version {reprlib.repr(version)}, this program reads {FORMAT_VERSION}; convert it first."
        )
    checks.check_present(config, name=str(path))
    return config


def read_model_config(workdir: pathlib.Path) -> dict:
    """The config stored in a workdir, with all that a model needs.

    Raises:
      UserError: as `read_config`, or it does not describe a model.
    """
    config = read_config(workdir)
    checks.require_model(config, name=str(workdir / "config.json"))
    return config


def load_text_tokenizer(workdir: pathlib.Path) -> TextTokenizer:
    """The text tokenizer kept beside a checkpoint."""
    return TextTokenizer.load(workdir / "tokenizers" / "text")
