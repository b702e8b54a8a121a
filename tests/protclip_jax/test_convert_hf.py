import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.errors import UserError
from protclip_jax.convert.hf import bert_params, esm2_params, layer_tensors
from protclip_jax.models.bert import Bert, BertConfig
from protclip_jax.models.esm2 import ESM2, ESM2Config

SHAPE = {"num_layers": 2, "hidden_size": 8, "num_heads": 2, "intermediate_size": 20}
ESM2_CONFIG = ESM2Config(**SHAPE)
BERT_CONFIG = BertConfig(**SHAPE, vocab_size=11, max_positions=16)


def encoder_tensors(norms):
    """The tensors both encoders share, random, under Hugging Face's names."""
    rng = np.random.default_rng(0)
    dim, hidden = SHAPE["hidden_size"], SHAPE["intermediate_size"]
    tensors = {}
    for i in range(SHAPE["num_layers"]):
        sizes = {f"attention.self.{name}": (dim, dim) for name in ("query", "key", "value")}
        sizes |= {"attention.output.dense": (dim, dim), "intermediate.dense": (hidden, dim), "output.dense": (dim, hidden)}
        for name, size in (sizes | dict.fromkeys(norms, (dim,))).items():
            tensors[f"encoder.layer.{i}.{name}.weight"] = rng.normal(size=size).astype(np.float32)
            tensors[f"encoder.layer.{i}.{name}.bias"] = rng.normal(size=size[:1]).astype(np.float32)
    return tensors


def esm2_tensors():
    tensors = encoder_tensors(["attention.LayerNorm", "LayerNorm"])
    table = np.random.default_rng(1).normal(size=(33, 8)).astype(np.float32)
    return tensors | {
        "embeddings.word_embeddings.weight": table,
        "encoder.emb_layer_norm_after.weight": table[0],
        "encoder.emb_layer_norm_after.bias": table[1],
    }


def bert_tensors():
    tensors = encoder_tensors(["attention.output.LayerNorm", "output.LayerNorm"])
    table = np.random.default_rng(1).normal(size=(16, 8)).astype(np.float32)
    return tensors | {
        "embeddings.word_embeddings.weight": table[:11],
        "embeddings.position_embeddings.weight": table,
        "embeddings.token_type_embeddings.weight": table[:2],
        "embeddings.LayerNorm.weight": table[0],
        "embeddings.LayerNorm.bias": table[1],
    }


CASES = {"esm2": (esm2_params, esm2_tensors, ESM2_CONFIG), "bert": (bert_params, bert_tensors, BERT_CONFIG)}


@pytest.mark.parametrize("family", CASES)
def test_every_parameter_is_filled_with_its_shape(family):
    convert, tensors, config = CASES[family]
    tokens = jax.ShapeDtypeStruct((1, 4), jnp.int32)
    model, options = (ESM2(config), (1,)) if family == "esm2" else (Bert(config), ())
    expected = jax.eval_shape(lambda key, *args: model.init(key, *args, *options), jax.random.key(0), tokens, tokens, tokens)
    chex.assert_trees_all_equal_shapes_and_dtypes(convert(tensors(), config), expected["params"])


@pytest.mark.parametrize("family", CASES)
def test_numbers_are_kept_exactly(family):
    """Splitting and transposing back gives the very source tensors of every layer."""
    convert, make, config = CASES[family]
    tensors, params = make(), convert(make(), config)
    for path, sources in layer_tensors(family).items():
        leaf = params["layers"]
        for key in path.split("/"):
            leaf = leaf[key]
        for i, name in np.ndindex(config.num_layers, len(sources)):
            part = np.split(leaf[i], len(sources), axis=-1)[name]
            source = tensors[f"encoder.layer.{i}.{sources[name]}"]
            np.testing.assert_array_equal(part.T if path.endswith("kernel") else part, source)


@pytest.mark.parametrize("family", CASES)
def test_prefixes_and_tensors_without_use_are_accepted(family):
    convert, make, config = CASES[family]
    prefixed = {f"{'esm' if family == 'esm2' else 'bert'}.{name}": tensor for name, tensor in make().items()}
    extra = {"esm2": ["lm_head.bias", "esm.contact_head.regression.weight", "esm.embeddings.position_ids"]}
    extra["bert"] = ["cls.predictions.bias", "bert.pooler.dense.weight", "bert.embeddings.position_ids"]
    prefixed |= dict.fromkeys(extra[family], np.zeros(3))
    chex.assert_trees_all_equal(convert(prefixed, config), convert(make(), config))


def test_old_layer_norm_names():
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): tensor
        for name, tensor in bert_tensors().items()
    }
    chex.assert_trees_all_equal(bert_params(old, BERT_CONFIG), bert_params(bert_tensors(), BERT_CONFIG))


@pytest.mark.parametrize("family", CASES)
def test_mistakes_are_named(family):
    convert, make, config = CASES[family]
    missing = make()
    del missing["encoder.layer.1.attention.self.key.bias"]
    with pytest.raises(UserError, match=r"no tensor encoder\.layer\.1\.attention\.self\.key\.bias"):
        convert(missing, config)
    with pytest.raises(UserError, match=r"1 tensors .* such as encoder\.layer\.2\.output\.dense\.bias"):
        convert(make() | {"encoder.layer.2.output.dense.bias": np.zeros(8)}, config)
    with pytest.raises(UserError, match=r"intermediate\.dense\.weight gives .* \[8, 19\], but the config asks for \[8, 20\]"):
        convert(make() | {"encoder.layer.0.intermediate.dense.weight": np.zeros((19, 8))}, config)


def test_inverse_frequencies_of_all_layers_are_one():
    names = [f"encoder.layer.{i}.attention.self.rotary_embeddings.inv_freq" for i in range(2)]
    stored = np.array([1.0, 0.0123], np.float16)
    params = esm2_params(esm2_tensors() | dict.fromkeys(names, stored), ESM2_CONFIG)
    np.testing.assert_array_equal(params["rotary_inv_freq"], stored.astype(np.float32))
    with pytest.raises(UserError, match="differ"):
        esm2_params(esm2_tensors() | {names[0]: stored, names[1]: stored * 2}, ESM2_CONFIG)
    computed = esm2_params(esm2_tensors(), ESM2_CONFIG)["rotary_inv_freq"]
    np.testing.assert_allclose(computed, [1.0, 10000.0**-0.5], rtol=1e-6)
