"""The model card of an export: contents, loading, and measurements.

The rest is left to its author.
"""

import json

from data_pipelines.common.markdown import plain, table
from protclip_jax.convert.checkpoint import Checkpoint
from protclip_jax.convert.heads import HEAD_GROUPS
from protclip_jax.convert.report_metrics import Report

OTHER = "other"
"""The licence where the author has not chosen one."""

_CARD = """\
---
library_name: transformers
pipeline_tag: feature-extraction
{licence}
tags:
- protein
- biology
- protein-text
- esm
- uniprot
- protclip
{index}---

# ProtCLIP

Proteins and texts about them as vectors of one space: an ESM-2 and a BERT, trained to tell which text belongs to which
protein. Exported from a protclip_jax checkpoint, weights in {dtype}.

To be written by the author: what the model is for, what it was trained on, where it fails.

## Files

{files}
- `protclip_config.json`: the config of the model and of its training, and what the weights were made from

## Load

With transformers, in this folder; from the hub, `from_pretrained("USER/REPOSITORY", subfolder="protein")` and so on:

```python
{code}```

With protclip_jax, `ProtCLIP.load(FOLDER)`, and `--checkpoint FOLDER` of every command.

## Numbers

{numbers}

## Training config

SHA-256 of the parameters: `{fingerprint}`

```json
{config}
```

## Licence

See [LICENSE.md](LICENSE.md). UniProt's data, which ProtCLIP is trained on, are CC BY 4.0 (UniProt Consortium): name the source.
"""
_LICENCE = """\
# Licence

This model: {name}.

UniProt's data, which ProtCLIP is trained on, are CC BY 4.0 (UniProt Consortium, https://www.uniprot.org): name the source.
To be added by the author: the licences of the weights that training started from.
"""
_FILES = {
    "protein": "- `protein/`: the protein tower, an ESM-2 (`EsmModel`) without pooler and contact head, "
    "and its tokenizer",
    "text": "- `text/`: the text tower, a BERT (`BertModel`) without pooler, and its tokenizer",
    "heads": "- `heads.safetensors`: projections, prototypes and token heads, named as in the "
    "released PyTorch ProtCLIP",
    "calibration": "- `calibration.json`: how often the model's hits agree with held-out questions, which "
    "`protclip search` reads",
}
_TOWER_CODE = {
    "protein": """\
from transformers import AutoTokenizer, EsmModel

protein = EsmModel.from_pretrained("protein", add_pooling_layer=False).eval()
protein_tokens = AutoTokenizer.from_pretrained("protein")("MKTAYIAKQRQISFVKSHFSRQ", return_tensors="pt")
protein_hidden = protein(**protein_tokens).last_hidden_state  # <cls>, residues, <eos>
""",
    "text": """\
from transformers import AutoTokenizer, BertModel

text = BertModel.from_pretrained("text", add_pooling_layer=False).eval()
text_tokens = AutoTokenizer.from_pretrained("text")("FUNCTION: Cleaves peptide bonds.", return_tensors="pt")
text_hidden = text(**text_tokens).last_hidden_state
""",
}
_HEADS_CODE = """
import torch
from safetensors.torch import load_file

heads = load_file("heads.safetensors")


def project(hidden, name):
    pooled = hidden.mean(1)  # of one unpadded input; in a padded batch, leave the padding out of the mean
    inner = torch.nn.functional.linear(pooled, heads[f"{name}.0.weight"], heads[f"{name}.0.bias"]).relu()
    projected = torch.nn.functional.linear(inner, heads[f"{name}.2.weight"], heads[f"{name}.2.bias"])
    return torch.nn.functional.normalize(projected)


similarity = project(protein_hidden, "protein_projection") @ project(text_hidden, "text_projection").T
"""


def model_card(
    checkpoint: Checkpoint,
    *,
    fingerprint: str,
    dtype: str,
    report: Report | None = None,
    licence: str = OTHER,
) -> str:
    """Markdown with YAML front matter for the Hugging Face hub; its code runs in the folder."""
    towers = [name for name in _TOWER_CODE if name in checkpoint.params]
    has_heads = checkpoint.params.keys() >= HEAD_GROUPS
    files = "\n".join(_FILES[name] for name in [*towers, *_others(checkpoint)])
    code = "\n".join(_TOWER_CODE[name] for name in towers)
    return _CARD.format(
        dtype=dtype,
        licence=_licence_fields(licence),
        index=_model_index(report) if report and report.metrics else "",
        files=files,
        code=code + (_HEADS_CODE if has_heads else ""),
        numbers=_numbers(report)
        if report and report.metrics
        else "None were measured before the export.",
        fingerprint=fingerprint,
        config=json.dumps(checkpoint.config, indent=2),
    )


def _others(checkpoint: Checkpoint) -> list[str]:
    """The files beside the towers, by their names in `_FILES`."""
    there = {
        "heads": checkpoint.params.keys() >= HEAD_GROUPS,
        "calibration": bool(checkpoint.calibration.content),
    }
    return [name for name, is_there in there.items() if is_there]


def licence_file(licence: str) -> str:
    """LICENSE.md: what is known about the terms, and what the author must add."""
    name = licence if licence != OTHER else "to be named by the author"
    return _LICENCE.format(name=name)


def _licence_fields(licence: str) -> str:
    named = f"license: {json.dumps(licence)}"
    return (
        named
        if licence != OTHER
        else f"{named}\nlicense_name: see-license\nlicense_link: LICENSE.md"
    )


def _model_index(report: Report) -> str:
    """The hub's `model-index`. JSON strings are YAML, whatever a name holds."""
    dataset = report.dataset or "not named"
    lines = ["model-index:", "- name: ProtCLIP", "  results:"]
    sections = {metric.section: [] for metric in report.metrics}
    for metric in report.metrics:
        sections[metric.section].append(metric)
    for section, metrics in sections.items():
        lines += [
            "  - task:",
            "      type: feature-extraction",
            f"      name: {json.dumps(section)}",
        ]
        lines += ["    dataset:", f"      name: {json.dumps(dataset)}", "      type: protanno"]
        lines += [f"      split: {json.dumps(report.split)}", "    metrics:"]
        for metric in metrics:
            value = f"{metric.value:.6g}"
            lines += [f"    - type: {json.dumps(metric.name)}", f"      value: {value}"]
    return "\n".join(lines) + "\n"


def _numbers(report: Report) -> str:
    rows = [
        [plain(metric.section), plain(metric.name), f"{metric.value:.4g}"]
        for metric in report.metrics
    ]
    measured = (
        f"Measured by `python -m eval` on the split {plain(report.split)} of "
        f"{plain(report.dataset) or 'a dataset'}."
    )
    return f"{measured}\n\n{table(['evaluation', 'number', 'value'], rows)}"
