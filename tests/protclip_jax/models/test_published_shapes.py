"""The towers at published sizes against Hugging Face's PyTorch models, with random weights.

The errors are printed.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.tokenizers.protein_tokenizer import CLS, EOS
from protclip_jax.convert.hf import bert_params, esm2_params
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.esm2 import ESM2, esm2_config
from tests.support.hf_weights import random_tensors, relative_error, rows_of

LENGTHS = (9, 40, 64)
BERT_BASE = BertConfig(
    num_layers=12, hidden_size=768, num_heads=12, intermediate_size=3072, vocab_size=30522
)


def esm2(name):
    """Config, parameters, further arguments, and the PyTorch model of a published ESM-2."""
    from transformers import EsmConfig, EsmModel

    config = esm2_config(name)
    hf_config = EsmConfig(
        vocab_size=33,
        mask_token_id=32,
        pad_token_id=1,
        hidden_size=config.hidden_size,
        num_hidden_layers=config.num_layers,
        num_attention_heads=config.num_heads,
        intermediate_size=config.intermediate_size,
        layer_norm_eps=config.layer_norm_eps,
        position_embedding_type="rotary",
        token_dropout=True,
        emb_layer_norm_before=False,
    )
    model = EsmModel(hf_config, add_pooling_layer=False).eval()
    return config, model, esm2_params(random_tensors(model, seed=1), config)


def bert_base():
    from transformers import BertConfig as HFBertConfig
    from transformers import BertModel

    model = BertModel(HFBertConfig(), add_pooling_layer=False).eval()
    return BERT_BASE, model, bert_params(random_tensors(model, seed=2), BERT_BASE)


@pytest.mark.parametrize(
    "name",
    [
        "esm2 8m",
        *(
            pytest.param(name, marks=pytest.mark.soak)
            for name in ("esm2 35m", "esm2 150m", "bert base")
        ),
    ],
)
def test_published_shapes_equal_huggingface(name):
    torch = pytest.importorskip("torch")
    config, model, params = bert_base() if name == "bert base" else esm2(name.removeprefix("esm2 "))
    rng = np.random.default_rng(3)
    segment_ids, positions = rows_of(LENGTHS, max(LENGTHS))
    tokens = np.where(
        segment_ids, rng.integers(4, config.vocab_size - 9, segment_ids.shape), 1
    ).astype(np.int32)
    tokens[:, 0], tokens[np.arange(len(LENGTHS)), np.array(LENGTHS) - 1] = CLS, EOS
    with torch.no_grad():
        output = model(
            torch.from_numpy(tokens).long(), attention_mask=torch.from_numpy(segment_ids).long()
        )
    reference, inside = output.last_hidden_state.numpy(), segment_ids > 0

    @functools.partial(jax.jit, static_argnums=0)
    def run(config, params):
        rows = jax.tree.map(jnp.asarray, (tokens, segment_ids, positions))
        if config.vocab_size == 33:
            return ESM2(config).apply({"params": params}, *rows, 1)
        return Bert(config).apply({"params": params}, *rows)

    error = relative_error(np.asarray(run(config, params), np.float32)[inside], reference[inside])
    rough = run(dataclasses.replace(config, dtype="bfloat16"), params)
    of_bfloat16 = relative_error(np.asarray(rough, np.float32)[inside], reference[inside])
    print(f"\n{name}: relative error {error:.1e} in float32, {of_bfloat16:.1e} in bfloat16")
    assert error < 1e-5
    assert 1e-4 < of_bfloat16 < 5e-2
