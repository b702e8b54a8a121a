"""Checkpoint folders written by a conversion, and read for an export."""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

import jax
import numpy as np

from data_pipelines.common.atomic_write import atomic_write
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.json_object import read_json
from data_pipelines.common.outputs import new_folder
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.calibration_file import FILE, NONE, Carried, carried
from protclip_jax.checkpoints.parameters import (
    load_params,
    params_fingerprint,
    save_params,
    stored_groups,
)
from protclip_jax.config.build import model_config
from protclip_jax.config.schema import FIELDS
from protclip_jax.models import initialize
from protclip_jax.models.protclip import ProtCLIPModel
from protclip_jax.objectives.registry import OBJECTIVES

_TRAINED = [name for name, kind in OBJECTIVES.items() if kind.weight.default]
_GROUPS = ("model", "tokenizer", "masking", "loss", *_TRAINED)
"""The config groups that describe what weights are and what they can be used for."""


class Checkpoint(NamedTuple):
    """A model outside a run: parameters by group as NumPy arrays, config and tokenizers.

    `source` says what it was made from, `calibration` what of it goes along.
    """

    params: dict
    config: dict
    text_tokenizer: TextTokenizer | None
    source: dict
    calibration: Carried = NONE


def converted_config(protein: Mapping | None, text: Mapping | None, **heads: int) -> dict:
    """The config of converted weights: shapes as given, objectives and limits as in the paper."""
    config = {"model": {"protein": protein, "text": text}}
    for path, setting in FIELDS.items():
        group, _, name = path.rpartition(".")
        if group in _GROUPS and not setting.changeable:
            config.setdefault(group, {})[name] = setting.default
    config["model"] |= {**heads, "dtype": "float32", "attention": "blockwise", "remat": "none"}
    config["loss"]["mask_duplicates"] = False
    if text:
        limits = config["tokenizer"]
        limits["max_text_tokens"] = min(limits["max_text_tokens"], text["max_positions"])
    return config


def network(config: Mapping, text_tokenizer: TextTokenizer | None) -> ProtCLIPModel:
    """The network that a stored config describes."""
    vocab_size = len(text_tokenizer.vocabulary) if text_tokenizer else None
    return ProtCLIPModel(model_config(config, text_vocab_size=vocab_size))


def source_files(files: Mapping[str, pathlib.Path]) -> dict[str, dict]:
    """Size and SHA-256 of files, by the names that provenance gives them."""
    return {
        name: {"bytes": path.stat().st_size, "sha256": file_sha256(path)}
        for name, path in sorted(files.items())
    }


def write_checkpoint(checkpoint: Checkpoint, output: pathlib.Path) -> str:
    """Writes a folder with step 0 and parameters only, atomically; returns their fingerprint.

    Raises:
      UserError: `output` is there already and not empty.
    """
    fingerprint = params_fingerprint(checkpoint.params)
    with new_folder(output) as folder:
        save_params(folder, checkpoint.params)
        source = {**checkpoint.source, "fingerprint": fingerprint}
        metadata.write_metadata(folder, checkpoint.config, checkpoint.text_tokenizer, source=source)
        if checkpoint.calibration.content:
            atomic_write(folder / FILE, checkpoint.calibration.content)
    return fingerprint


def read_checkpoint(directory: pathlib.Path, step: str | int | None) -> Checkpoint:
    """A checkpoint's parameters in host memory; `step` is a number, `best` or `latest`.

    Raises:
      UserError: the checkpoint does not exist, or does not fit its config.
    """
    config = metadata.read_model_config(directory)
    number = best.resolve_step(directory, step)
    groups = stored_groups(directory, number)
    text_tokenizer = metadata.load_text_tokenizer(directory) if "text" in groups else None
    host = jax.sharding.SingleDeviceSharding(jax.local_devices(backend="cpu")[0])
    abstract = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=host),
        initialize.abstract_groups(network(config, text_tokenizer), groups),
    )
    params = jax.tree.map(np.asarray, load_params(directory, number, abstract))
    source = {"kind": "params", "step": number}
    if made_from := read_json(directory / "config.json").get("source"):
        source["made_from"] = made_from
    return Checkpoint(params, config, text_tokenizer, source, carried(directory, number))


def count(params: Mapping) -> dict[str, tuple[int, int]]:
    """Group → how many parameters it has, and how many numbers they are."""
    counts = {}
    for group, tree in sorted(params.items()):
        arrays = jax.tree.leaves(tree)
        counts[group] = (len(arrays), sum(array.size for array in arrays))
    return counts
