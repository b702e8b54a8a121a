"""The model card of an export: what is in the folder, how to load it, how it was trained; the rest is left to its author."""

import json

from protclip_jax.convert.checkpoint import Checkpoint
from protclip_jax.convert.heads import HEAD_GROUPS

_CARD = """\
---
library_name: transformers
license: other
license_name: see-licence-section
tags:
- protein
- biology
- protclip
---

# ProtCLIP

Exported from a protclip_jax checkpoint, weights in {dtype}.

To be written by the author: what the model is for, what it was trained on, how it was evaluated, where it fails.

## Files

{files}
- `protclip_config.json`: the config of the model and of its training, and what the weights were made from

## Load

With transformers, in this folder:

```python
{code}```

`python -m protclip_jax.convert hf` makes a checkpoint of it again.

## Training config

SHA-256 of the parameters: `{fingerprint}`

```json
{config}
```

## Licence

UniProt's data, which ProtCLIP is trained on, are CC BY 4.0 (UniProt Consortium): name the source. To be added by the
author: the licences of the weights that training started from, and the model's own.
"""
_FILES = {
    "protein": "- `protein/`: the protein tower, an ESM-2 (`EsmModel`) without pooler and contact head, and its tokenizer",
    "text": "- `text/`: the text tower, a BERT (`BertModel`) without pooler, and its tokenizer",
    "heads": "- `heads.safetensors`: projections, prototypes and token heads, named as in the released PyTorch ProtCLIP",
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


def model_card(checkpoint: Checkpoint, *, fingerprint: str, dtype: str) -> str:
    """Markdown with YAML front matter, as the Hugging Face hub reads it; the code in it runs in the exported folder."""
    towers = [name for name in _TOWER_CODE if name in checkpoint.params]
    has_heads = checkpoint.params.keys() >= HEAD_GROUPS
    return _CARD.format(
        dtype=dtype,
        files="\n".join(_FILES[name] for name in [*towers, *(["heads"] if has_heads else [])]),
        code="\n".join(_TOWER_CODE[name] for name in towers) + (_HEADS_CODE if has_heads else ""),
        fingerprint=fingerprint,
        config=json.dumps(checkpoint.config, indent=2),
    )
