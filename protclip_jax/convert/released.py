"""The released PyTorch ProtCLIP, model.safetensors and config.json in one folder → a checkpoint."""

import pathlib
import reprlib
from collections.abc import Mapping, Sequence

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.convert.checkpoint import Checkpoint, converted_config, network, source_files
from protclip_jax.convert.heads import HEAD_GROUPS, HEADS_UNUSED, head_params
from protclip_jax.convert.hf import BERT_UNUSED, ESM2_UNUSED, bert_params, esm2_params, known_unused
from protclip_jax.convert.hf_config import bert_fields, esm2_fields
from protclip_jax.convert.tensors import Tensors, read_weights
from protclip_jax.convert.tokenizers import (
    check_protein_vocabulary,
    is_protein_tokenizer,
    read_text_tokenizer,
    tokenizer_files,
)
from protclip_jax.convert.wrapped_names import unwrapped
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from protclip_jax.models.initialize import abstract_groups

PROTEIN, TEXT = "protein_model.", "text_model."
"""Prefixes of the towers' tensors; all others belong to the heads."""


def import_released(
    source: pathlib.Path, *, text_tokenizer: pathlib.Path | None = None
) -> Checkpoint:
    """Reads a released checkpoint; tokenizers are in SOURCE, its folders, or are given.

    Among the folders are SOURCE/backbones/*.

    The config does not say the prototypes' temperature, which is 0.9 in the paper.

    Raises:
      UserError: a file is missing or damaged, a field is not supported, a tensor is missing, left
        over or of another shape, or no or more than one text tokenizer is found.
    """
    path = source / "config.json"
    config = read_json(path)
    fields = {
        name: _part(config, name, path) for name in ("protein_model_config", "text_model_config")
    }
    protein = esm2_fields(fields["protein_model_config"], name=f"protein_model_config of {path}")
    text, vocab_size = bert_fields(fields["text_model_config"], name=f"text_model_config of {path}")
    heads = _head_dims(config, path)
    tensors, files = read_weights(source)
    of_protein, of_text, of_heads = _by_part(unwrapped(tensors, source=source))
    params = {
        "protein": esm2_params(of_protein, ESM2Config(**protein), prefix=PROTEIN),
        "text": bert_params(of_text, BertConfig(**text, vocab_size=vocab_size), prefix=TEXT),
    }
    folder, tokenizer = _text_tokenizer(
        [text_tokenizer] if text_tokenizer else _text_folders(source), vocab_size=vocab_size
    )
    stored = converted_config(protein, text, **heads)
    # The released texts contain synonyms, short names and EC numbers.
    stored["tokenizer"]["names"] = "all"
    params |= head_params(of_heads, abstract_groups(network(stored, tokenizer), HEAD_GROUPS))

    unused = known_unused(of_protein, ESM2_UNUSED, prefix=PROTEIN) + known_unused(
        of_text, BERT_UNUSED, prefix=TEXT
    )
    unused += [name for name in of_heads if HEADS_UNUSED.fullmatch(name)]
    named = {file.name: file for file in [path, *files]}
    named |= {f"text_tokenizer/{file.name}": file for file in tokenizer_files(folder)}
    provenance = {"kind": "protclip", "files": source_files(named), "unused": sorted(unused)}
    return Checkpoint(params, stored, tokenizer, provenance)


def _part(config: Mapping, name: str, path: pathlib.Path) -> dict:
    if not isinstance(config.get(name), dict):
        raise UserError(
            f"{path} lacks {name}; give the folder of a released ProtCLIP, or convert ESM-2 and "
            "BERT with `hf`."
        )
    return config[name]


def _head_dims(config: Mapping, path: pathlib.Path) -> dict[str, int]:
    dims = {name: config.get(name) for name in ("projection_dim", "proto_num", "proto_dim")}
    for name, value in dims.items():
        if type(value) is not int or not 1 <= value <= 1 << 20:
            raise UserError(
                f"{path}: {name}={reprlib.repr(value)} is not a valid width; give a released "
                "ProtCLIP."
            )
    if dims["proto_dim"] != dims["projection_dim"]:
        raise UserError(
            f"{path}: proto_dim={dims['proto_dim']} differs from projection_dim, which is "
            "not supported."
        )
    return {"projection_dim": dims["projection_dim"], "num_prototypes": dims["proto_num"]}


def _by_part(tensors: Tensors) -> tuple[Tensors, Tensors, Tensors]:
    parts: dict[str, dict] = {PROTEIN: {}, TEXT: {}, "": {}}
    for name, tensor in tensors.items():
        parts[next(prefix for prefix in parts if name.startswith(prefix))][name] = tensor
    return parts[PROTEIN], parts[TEXT], parts[""]


def _text_folders(source: pathlib.Path) -> list[pathlib.Path]:
    """SOURCE and its folders with a vocabulary other than the protein tower's.

    The protein tower's vocabulary is checked.
    """
    folders = dict.fromkeys(
        [source, *sorted(source.glob("backbones/*")), *sorted(source.glob("*"))]
    )
    tokenizers = [
        folder
        for folder in folders
        if (folder / "vocab.txt").is_file() or (folder / "tokenizer.json").is_file()
    ]
    of_proteins = [folder for folder in tokenizers if is_protein_tokenizer(folder)]
    for folder in of_proteins:
        check_protein_vocabulary(folder)
    found = [folder for folder in tokenizers if folder not in of_proteins]
    if not found:
        raise UserError(
            f"{source} and its folders hold no text tokenizer; name one with --text_tokenizer DIR."
        )
    return found


def _text_tokenizer(
    folders: Sequence[pathlib.Path], *, vocab_size: int
) -> tuple[pathlib.Path, TextTokenizer]:
    """The one tokenizer that the folders hold, and the first of them."""
    found = [(folder, read_text_tokenizer(folder, vocab_size=vocab_size)) for folder in folders]
    first, tokenizer = found[0]
    for folder, other in found:
        if (other.vocabulary, other.normalization) != (
            tokenizer.vocabulary,
            tokenizer.normalization,
        ):
            raise UserError(
                f"{first} and {folder} hold different text tokenizers; choose one with "
                "--text_tokenizer DIR."
            )
    return first, tokenizer
