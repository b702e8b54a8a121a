"""A checkpoint → a folder for the Hugging Face hub: towers that plain transformers loads, heads,
licence and model card."""

import json
import pathlib
from collections.abc import Mapping

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.outputs import new_folder
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.checkpoints.calibration_file import FILE
from protclip_jax.checkpoints.other_folders import EXPORTED
from protclip_jax.checkpoints.parameters import params_fingerprint
from protclip_jax.config.schema import completed
from protclip_jax.convert.checkpoint import Checkpoint, network
from protclip_jax.convert.heads import HEAD_GROUPS, head_tensors
from protclip_jax.convert.hf import bert_tensors, esm2_tensors
from protclip_jax.convert.hf_config import bert_config, esm2_config
from protclip_jax.convert.model_card import OTHER, licence_file, model_card
from protclip_jax.convert.report_metrics import Report
from protclip_jax.convert.tensors import FLOATS, Tensors, write_safetensors

_LARGE_FILES = "*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
"""As .gitattributes: the hub takes large files through Git LFS only."""


def export_checkpoint(
    checkpoint: Checkpoint,
    output: pathlib.Path,
    *,
    dtype: str = "float32",
    report: Report | None = None,
    licence: str = OTHER,
) -> str:
    """Writes protein/, text/, heads.safetensors, the config, README.md and LICENSE.md; returns the
    parameters' fingerprint.

    The model card has the numbers of `report`, and `licence` as the hub names licences. Tokenizers
    cut inputs where the model does. Only what the checkpoint has is written. Equal checkpoints give
    equal files. Rotary inverse frequencies stay float32 in every `dtype` ('float32', 'float16' or
    'bfloat16'): rounded, they turn far positions by the wrong angle. The checkpoint's calibration
    goes along where it has one; leave it out (`calibration_file.left_out`) where `dtype` rounds.

    Raises:
      UserError: `output` is there already and not empty, or a number is too large for `dtype`.
    """
    config = network(checkpoint.config, checkpoint.text_tokenizer).config
    limits = completed(checkpoint.config)["tokenizer"]
    params = checkpoint.params
    fingerprint = params_fingerprint(params)
    with new_folder(output) as folder:
        if "protein" in params:
            protein_tokenizer.save(folder / "protein", max_tokens=limits["max_protein_tokens"])
            esm2_config(config.protein, dtype=dtype).save_pretrained(folder / "protein")
            _write(folder / "protein" / "model.safetensors", esm2_tensors(params["protein"]), dtype)
        if "text" in params:
            tokenizer = checkpoint.text_tokenizer
            tokenizer.save(
                folder / "text",
                max_tokens=min(limits["max_text_tokens"], config.text.max_positions),
            )
            bert_config(config.text, dtype=dtype, pad_id=tokenizer.pad_id).save_pretrained(
                folder / "text"
            )
            _write(folder / "text" / "model.safetensors", bert_tensors(params["text"]), dtype)
        if HEAD_GROUPS & params.keys():
            _write(folder / "heads.safetensors", head_tensors(params), dtype)
        made_from = {
            "config": checkpoint.config,
            "source": checkpoint.source,
            "fingerprint": fingerprint,
        }
        _write_json(folder / EXPORTED, made_from)
        if checkpoint.calibration.content:
            (folder / FILE).write_text(checkpoint.calibration.content, encoding="utf-8")
        card = model_card(
            checkpoint, fingerprint=fingerprint, dtype=dtype, report=report, licence=licence
        )
        for name, text in {
            "README.md": card,
            "LICENSE.md": licence_file(licence),
            ".gitattributes": _LARGE_FILES,
        }.items():
            (folder / name).write_text(text, encoding="utf-8")
    return fingerprint


def _write(path: pathlib.Path, tensors: Tensors, dtype: str) -> None:
    write_safetensors(
        path, {name: _cast(name, tensor, FLOATS[dtype]) for name, tensor in tensors.items()}
    )


def _cast(name: str, tensor: np.ndarray, dtype: np.dtype) -> np.ndarray:
    if name.endswith("inv_freq"):
        return tensor
    with np.errstate(over="ignore"):
        cast = tensor.astype(dtype, copy=False)
    if not np.isfinite(cast).all() and np.isfinite(tensor).all():
        raise UserError(
            f"Tensor {name} has numbers too large for {dtype}; pass --dtype bfloat16 or float32."
        )
    return cast


def _write_json(path: pathlib.Path, value: Mapping) -> None:
    path.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
