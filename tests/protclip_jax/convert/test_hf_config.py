"""Hugging Face's config.json: what is read, what is refused, and that transformers reads ours."""

import dataclasses

import pytest
import transformers

from data_pipelines.common.errors import UserError
from protclip_jax.convert.hf_config import bert_config, bert_fields, esm2_config, esm2_fields
from protclip_jax.models.bert import BertConfig
from protclip_jax.models.esm2 import ESM2Config
from tests.support import hf_weights

ESM2 = hf_weights.ESM2 | {
    "token_dropout": True,
    "emb_layer_norm_before": False,
    "hidden_dropout_prob": 0.0,
    "unknown_field": [1],
}
BERT = hf_weights.BERT | {
    "vocab_size": 50,
    "max_position_embeddings": 64,
    "hidden_act": "gelu",
}


def without(config, *fields):
    return {name: value for name, value in config.items() if name not in fields}


def test_fields_become_ours():
    shape = {
        "num_layers": 2,
        "hidden_size": 8,
        "num_heads": 2,
        "intermediate_size": 20,
        "initializer_range": 0.02,
    }
    assert esm2_fields(ESM2, name="") == shape | {"layer_norm_eps": 1e-5, "token_dropout": True}
    assert bert_fields(BERT, name="") == (
        shape | {"layer_norm_eps": 1e-12, "max_positions": 64},
        50,
    )
    changed = {
        "token_dropout": False,
        "layer_norm_eps": 1e-7,
        "initializer_range": 0.1,
        "num_attention_heads": 4,
    }
    fields = esm2_fields(ESM2 | changed, name="")
    assert [
        fields[name]
        for name in ("token_dropout", "layer_norm_eps", "initializer_range", "num_heads")
    ] == [
        False,
        1e-7,
        0.1,
        4,
    ]


def test_absent_fields_mean_what_transformers_means_by_them():
    assert bert_fields(without(BERT, "model_type", "hidden_act"), name="") == bert_fields(
        BERT, name=""
    )
    assert esm2_fields({**ESM2, "token_dropout": None}, name="")["token_dropout"] is False
    assert bert_fields({**BERT, "vocab_size": 30522}, name="") == bert_fields(
        without(BERT, "vocab_size"), name=""
    )
    with pytest.raises(UserError, match="position_embedding_type='absolute'"):
        esm2_fields(without(ESM2, "position_embedding_type"), name="")


REFUSED = [
    ("esm", "model_type", "bert"),
    ("esm", "position_embedding_type", "absolute"),
    ("esm", "emb_layer_norm_before", True),
    ("esm", "hidden_act", "relu"),
    ("esm", "vocab_size", 34),
    ("esm", "vocab_size", None),
    ("esm", "is_folding_model", True),
    ("esm", "add_cross_attention", True),
    ("esm", "rope_theta", 500000.0),
    ("esm", "mask_token_id", 4),
    ("esm", "token_dropout", "yes"),
    ("bert", "model_type", "roberta"),
    ("bert", "position_embedding_type", "relative_key"),
    ("bert", "hidden_act", "gelu_new"),
    ("bert", "type_vocab_size", 1),
    ("bert", "is_decoder", True),
    ("bert", "add_cross_attention", True),
    ("bert", "vocab_size", -3),
    ("bert", "max_position_embeddings", None),
    ("bert", "hidden_size", 8.0),
    ("bert", "hidden_size", "8"),
    ("bert", "hidden_size", True),
    ("esm", "num_hidden_layers", 0),
    ("esm", "intermediate_size", 10**30),
    ("esm", "num_hidden_layers", 1 << 17),
    ("bert", "vocab_size", 1 << 25),
    ("esm", "num_attention_heads", [2]),
    ("esm", "layer_norm_eps", 0.0),
    ("esm", "layer_norm_eps", float("nan")),
    ("bert", "initializer_range", float("inf")),
    ("bert", "initializer_range", 10**400),
    ("bert", "layer_norm_eps", "1e-12"),
]


@pytest.mark.parametrize(("family", "field", "value"), REFUSED)
def test_what_is_not_implemented_is_refused_by_name_and_value(family, field, value):
    read, config = {"esm": (esm2_fields, ESM2), "bert": (bert_fields, BERT)}[family]
    with pytest.raises(
        UserError, match=rf"^config\.json(: | is refused by transformers .*){field}"
    ) as caught:
        read({**config, field: value}, name="config.json")
    assert repr(value)[:8] in str(caught.value)


SHAPE = {
    "num_layers": 2,
    "hidden_size": 8,
    "num_heads": 2,
    "intermediate_size": 20,
    "initializer_range": 0.03,
}


def test_ours_are_read_back_the_same():
    esm2 = ESM2Config(**SHAPE, layer_norm_eps=1e-6, token_dropout=False)
    assert ESM2Config(**esm2_fields(esm2_config(esm2, dtype="float32").to_dict(), name="")) == esm2
    bert = BertConfig(**SHAPE, vocab_size=50, max_positions=64)
    fields, vocab_size = bert_fields(
        bert_config(bert, dtype="float16", pad_id=0).to_dict(), name=""
    )
    assert BertConfig(**fields, vocab_size=vocab_size) == bert


def test_transformers_reads_ours(tmp_path):
    esm2_config(ESM2Config(**SHAPE), dtype="bfloat16").save_pretrained(tmp_path / "esm")
    bert_config(BertConfig(**SHAPE, vocab_size=50), dtype="float16", pad_id=3).save_pretrained(
        tmp_path / "bert"
    )
    esm, bert = (
        transformers.AutoConfig.from_pretrained(tmp_path / name) for name in ("esm", "bert")
    )
    assert (type(esm), type(bert)) == (transformers.EsmConfig, transformers.BertConfig)
    for theirs in (esm, bert):
        names = (
            "num_hidden_layers",
            "hidden_size",
            "num_attention_heads",
            "intermediate_size",
            "initializer_range",
        )
        assert [getattr(theirs, name) for name in names] == list(SHAPE.values())
    assert (esm.layer_norm_eps, esm.token_dropout, esm.position_embedding_type) == (
        1e-5,
        True,
        "rotary",
    )
    assert (esm.vocab_size, esm.mask_token_id, esm.pad_token_id) == (33, 32, 1)
    assert str(esm.dtype).endswith("bfloat16")
    assert (bert.vocab_size, bert.max_position_embeddings, bert.pad_token_id) == (50, 512, 3)


def test_configs_that_do_not_fit_together_are_refused_by_our_own_checks():
    with pytest.raises(UserError, match="num_heads=3"):
        ESM2Config(**esm2_fields(ESM2 | {"num_attention_heads": 3}, name=""))
    assert dataclasses.replace(ESM2Config(**esm2_fields(ESM2, name="")), num_heads=4).head_dim == 2
