import dataclasses

import chex
import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.convert.hf import (
    BERT_UNUSED,
    ESM2_UNUSED,
    bert_params,
    bert_tensors,
    esm2_params,
    esm2_tensors,
    known_unused,
)
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.esm2 import ESM2, ESM2Config
from tests.support.hf_weights import SHAPE, make_bert, make_esm2

ESM2_CONFIG = ESM2Config(**SHAPE)
BERT_CONFIG = BertConfig(**SHAPE, vocab_size=11, max_positions=16)


CASES = {
    "esm2": (esm2_params, make_esm2, ESM2_CONFIG),
    "bert": (bert_params, make_bert, BERT_CONFIG),
}
EXPORTS = {"esm2": esm2_tensors, "bert": bert_tensors}
INV_FREQ = [
    f"encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq"
    for i in range(SHAPE["num_layers"])
]


@pytest.mark.parametrize("family", CASES)
def test_every_parameter_is_filled_with_its_shape(family):
    convert, tensors, config = CASES[family]
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    model, options = (ESM2(config), (1,)) if family == "esm2" else (Bert(config), ())
    expected = jax.eval_shape(
        lambda key, *args: model.init(key, *args, *options),
        jax.random.key(0),
        tokens,
        tokens,
        tokens,
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(convert(tensors(), config), expected["params"])


@pytest.mark.parametrize("family", CASES)
def test_parameters_are_laid_out_as_joined_transposed_and_stacked_tensors(family):
    convert, make, config = CASES[family]
    tensors, params = make(), convert(make(), config)
    query_key_value = params["layers"]["attention"]["qkv"]["kernel"]
    for layer in range(config.num_layers):
        parts = [
            tensors[f"encoder.layer.{layer}.attention.self.{name}.weight"].T
            for name in ("query", "key", "value")
        ]
        np.testing.assert_array_equal(query_key_value[layer], np.concatenate(parts, axis=1))
        wide = tensors[f"encoder.layer.{layer}.intermediate.dense.weight"]
        np.testing.assert_array_equal(
            params["layers"]["feed_forward"]["input"]["kernel"][layer], wide.T
        )


@pytest.mark.parametrize("family", CASES)
def test_the_way_back_gives_the_very_tensors(family):
    convert, make, config = CASES[family]
    tensors = make() | (
        dict.fromkeys(INV_FREQ, np.array([1.0, 0.3], np.float32)) if family == "esm2" else {}
    )
    back = EXPORTS[family](convert(tensors, config))
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        np.testing.assert_array_equal(back[name], tensor, err_msg=name)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_floats_are_widened_exactly_and_others_refused(dtype):
    narrow = {name: tensor.astype(dtype) for name, tensor in make_bert().items()}
    for name, tensor in bert_tensors(bert_params(narrow, BERT_CONFIG)).items():
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor, narrow[name].astype(np.float32))
    name = "embeddings.LayerNorm.bias"
    with pytest.raises(UserError, match=r"embeddings\.LayerNorm\.bias is of dtype int8"):
        bert_params(narrow | {name: narrow[name].astype(np.int8)}, BERT_CONFIG)


@pytest.mark.parametrize("family", CASES)
def test_prefixes_and_tensors_without_use_are_accepted(family):
    convert, make, config = CASES[family]
    prefixed = {
        f"{'esm' if family == 'esm2' else 'bert'}.{name}": tensor for name, tensor in make().items()
    }
    extra = {
        "esm2": [
            "lm_head.bias",
            "esm.contact_head.regression.weight",
            "esm.embeddings.position_ids",
        ]
    }
    extra["bert"] = [
        "cls.predictions.bias",
        "bert.pooler.dense.weight",
        "bert.embeddings.position_ids",
    ]
    prefixed |= dict.fromkeys(extra[family], np.zeros(3))
    chex.assert_trees_all_equal(convert(prefixed, config), convert(make(), config))


def test_known_unused_are_listed_under_their_own_names():
    names = [
        "esm.encoder.layer.0.LayerNorm.weight",
        "lm_head.bias",
        "esm.pooler.dense.bias",
        "esm.embeddings.position_ids",
    ]
    assert known_unused(names, ESM2_UNUSED, prefix="esm.") == sorted(names[1:])
    names = [
        "bert.embeddings.word_embeddings.weight",
        "cls.predictions.bias",
        "bert.embeddings.position_ids",
    ]
    assert known_unused(names, BERT_UNUSED, prefix="bert.") == sorted(names[1:])


@pytest.mark.parametrize("family", CASES)
def test_old_layer_norm_names(family):
    convert, make, config = CASES[family]
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in make().items()
    }
    assert old.keys() != make().keys()
    chex.assert_trees_all_equal(convert(old, config), convert(make(), config))


@pytest.mark.parametrize("family", CASES)
def test_two_tensors_for_one_parameter_are_refused(family):
    convert, make, config = CASES[family]
    prefix = {"esm2": "esm.", "bert": "bert."}[family]
    for twin in (prefix + "encoder.layer.0.output.dense.bias", "encoder.layer.0.output.dense.beta"):
        with pytest.raises(
            UserError, match=r"both stand for encoder\.layer\.0\.output\.dense\.bias"
        ):
            convert(make() | {twin: np.zeros(8, np.float32)}, config)


@pytest.mark.parametrize("family", CASES)
def test_mistakes_are_named(family):
    convert, make, config = CASES[family]
    missing = make()
    del missing["encoder.layer.1.attention.self.key.bias"]
    with pytest.raises(
        UserError, match=r"lacks the tensor encoder\.layer\.1\.attention\.self\.key\.bias"
    ):
        convert(missing, config)
    with pytest.raises(
        UserError, match=r"1 tensor .* such as encoder\.layer\.2\.output\.dense\.bias"
    ):
        convert(make() | {"encoder.layer.2.output.dense.bias": np.zeros(8)}, config)
    with pytest.raises(
        UserError,
        match=r"intermediate\.dense\.weight has .* \[19, 8\], but the config asks for \[20, 8\]",
    ):
        convert(make() | {"encoder.layer.0.intermediate.dense.weight": np.zeros((19, 8))}, config)


@pytest.mark.parametrize("family", CASES)
def test_names_in_errors_are_those_of_the_file(family):
    convert, make, config = CASES[family]
    prefix = {"esm2": "esm.", "bert": "bert."}[family]
    prefixed = {prefix + name: tensor for name, tensor in make().items()}
    extra = {f"{prefix}adapter.weight": np.zeros(1, np.float32)}
    with pytest.raises(UserError, match=rf"such as {prefix}adapter\.weight"):
        convert(prefixed | extra, config)
    del prefixed[f"{prefix}embeddings.word_embeddings.weight"]
    with pytest.raises(
        UserError,
        match=rf"lacks the tensor {prefix}embeddings\.word_embeddings\.weight, needed for token_embedding",
    ):
        convert(prefixed, config)


@pytest.mark.parametrize(
    "names",
    [
        INV_FREQ,
        ["rotary_embeddings.inv_freq"],
        ["encoder.layer.*.attention.self.rotary_embeddings.inv_freq"],
    ],
    ids=["in each layer", "once", "once under an asterisk"],
)
def test_inverse_frequencies_are_taken_as_stored(names):
    stored = np.array([1.0, 0.0123], np.float16)
    params = esm2_params(make_esm2() | dict.fromkeys(names, stored), ESM2_CONFIG)
    np.testing.assert_array_equal(params["rotary_inv_freq"], stored.astype(np.float32))


def test_inverse_frequencies_that_differ_or_are_absent():
    stored = np.array([1.0, 0.0123], np.float16)
    with pytest.raises(UserError, match="differ"):
        esm2_params(make_esm2() | {INV_FREQ[0]: stored, INV_FREQ[1]: stored * 2}, ESM2_CONFIG)
    computed = esm2_params(make_esm2(), ESM2_CONFIG)["rotary_inv_freq"]
    np.testing.assert_allclose(computed, [1.0, 10000.0**-0.5], rtol=1e-6)


def test_a_config_of_giant_sizes_is_refused_before_anything_is_allocated():
    largest = dict.fromkeys(("num_layers", "hidden_size", "intermediate_size"), 1 << 16)
    with pytest.raises(UserError, match="65536"):
        esm2_params(make_esm2(), dataclasses.replace(ESM2_CONFIG, **largest))
    with pytest.raises(UserError, match="65536"):
        bert_params(
            make_bert(),
            dataclasses.replace(BERT_CONFIG, **largest, vocab_size=1 << 24, max_positions=1 << 24),
        )
