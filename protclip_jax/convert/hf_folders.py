"""Converts Hugging Face folders of ESM-2, BERT or both, with or without heads."""

import pathlib
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints.other_folders import MERGE_ADAPTERS
from protclip_jax.convert.checkpoint import Checkpoint, converted_config, network, source_files
from protclip_jax.convert.heads import (
    HEAD_GROUPS,
    HEADS_UNUSED,
    head_dims,
    head_groups,
    head_params,
)
from protclip_jax.convert.hf import BERT_UNUSED, ESM2_UNUSED, bert_params, esm2_params, known_unused
from protclip_jax.convert.hf_config import bert_fields, esm2_fields
from protclip_jax.convert.tensors import has_weights, read_safetensors, read_weights
from protclip_jax.convert.tokenizers import (
    check_protein_vocabulary,
    read_text_tokenizer,
    tokenizer_files,
)
from protclip_jax.convert.wrapped_names import unwrapped
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.initialize import abstract_groups


class Tower(NamedTuple):
    """An encoder read from a folder: config fields, parameters, tokenizer, files.

    Also the tensors that were not used.
    """

    fields: dict
    params: dict
    text_tokenizer: TextTokenizer | None
    files: list[pathlib.Path]
    unused: list[str]


def _read_config(folder: pathlib.Path) -> dict:
    """The config.json of a Hugging Face folder; raises `UserError` for other folders."""
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder; give one with config.json and model.safetensors."
        )
    if (folder / "adapter_config.json").is_file() and not has_weights(folder):
        raise UserError(f"{folder} holds adapters alone; {MERGE_ADAPTERS}.")
    config = read_json(folder / "config.json")
    if "format_version" in config:
        raise UserError(f"{folder} is already a checkpoint of this program; use it as it is.")
    if "protein_model_config" in config:
        raise UserError(
            f"{folder} is a released ProtCLIP; convert it with `protclip --source` instead of `hf`."
        )
    return config


def read_protein_tower(folder: pathlib.Path) -> Tower:
    """Reads the ESM-2 of a folder.

    Raises:
      UserError: the folder has none.
    """
    fields = esm2_fields(_read_config(folder), name=str(folder / "config.json"))
    check_protein_vocabulary(folder)
    tensors, files = read_weights(folder)
    tensors = unwrapped(tensors, source=folder)
    params = esm2_params(tensors, ESM2Config(**fields))
    files = [folder / "config.json", *files, *tokenizer_files(folder)]
    return Tower(fields, params, None, files, known_unused(tensors, ESM2_UNUSED, prefix="esm."))


def read_text_tower(folder: pathlib.Path) -> Tower:
    """Reads the BERT of a folder, with its tokenizer.

    Raises:
      UserError: the folder has none.
    """
    fields, vocab_size = bert_fields(_read_config(folder), name=str(folder / "config.json"))
    tensors, files = read_weights(folder)
    tensors = unwrapped(tensors, source=folder)
    params = bert_params(tensors, BertConfig(**fields, vocab_size=vocab_size))
    tokenizer = read_text_tokenizer(folder, vocab_size=vocab_size)
    files = [folder / "config.json", *files, *tokenizer_files(folder)]
    return Tower(
        fields, params, tokenizer, files, known_unused(tensors, BERT_UNUSED, prefix="bert.")
    )


def import_hf(
    *, protein: pathlib.Path | None, text: pathlib.Path | None, heads: pathlib.Path | None
) -> Checkpoint:
    """Builds a checkpoint of one tower, of both, or of both with heads from `to_hf`.

    Raises:
      UserError: neither tower is given, heads without both, or a folder or file is not what it
        should be.
    """
    if protein is None and text is None:
        raise UserError("nothing to convert: give --protein DIR, --text DIR or both.")
    if heads is not None and None in (protein, text):
        raise UserError("--heads needs both towers; give --protein and --text too.")
    towers = {"protein": read_protein_tower(protein)} if protein else {}
    towers |= {"text": read_text_tower(text)} if text else {}
    files = {f"{name}/{path.name}": path for name, tower in towers.items() for path in tower.files}
    unused = [f"{name}: {tensor}" for name, tower in towers.items() for tensor in tower.unused]
    params = {name: tower.params for name, tower in towers.items()}
    fields = {name: towers[name].fields if name in towers else None for name in ("protein", "text")}
    text_tokenizer = towers["text"].text_tokenizer if text else None
    config = converted_config(**fields)
    if heads is not None:
        tensors = unwrapped(read_safetensors(heads), source=heads)
        groups = head_groups(tensors)
        config = converted_config(**fields, **head_dims(tensors))
        # So that the network has the sigmoid contrast's scale and bias if they were exported.
        config["loss"]["sigmoid"] = float(groups > HEAD_GROUPS)
        params |= head_params(tensors, abstract_groups(network(config, text_tokenizer), groups))
        files["heads.safetensors"] = heads
        unused += [
            f"heads: {tensor}" for tensor in sorted(tensors) if HEADS_UNUSED.fullmatch(tensor)
        ]
    source = {"kind": "hf", "files": source_files(files), "unused": unused}
    return Checkpoint(params, config, text_tokenizer, source)
