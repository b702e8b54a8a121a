"""The released checkpoint's layout: every tensor is where it belongs, and what is wrong with a
copy of it is named."""

import json
import shutil

import chex
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from data_pipelines.tokenizers.text_tokenizer import TextTokenizer
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import params_fingerprint, stored_groups
from protclip_jax.convert.__main__ import main
from protclip_jax.convert.heads import HEAD_GROUPS, head_params, head_tensors
from protclip_jax.convert.hf import bert_tensors, esm2_tensors
from protclip_jax.convert.released import import_released
from tests.support import peer_params

UNUSED = {
    "local_cross_attention": [f"{name}{i}" for name in ("query", "key", "value") for i in (1, 2)],
    "predictor": ["0", "2"],
    "protein_model": ["pooler.dense", "contact_head.regression"],
    "text_model": ["pooler.dense"],
}


@pytest.fixture(scope="module")
def imported(peer_release):
    return import_released(peer_release)


def test_a_vocabulary_that_is_filled_up_is_reported(peer_release, capsys):
    import_released(peer_release)
    assert "has 95 tokens and its model 160: filled up with unused names" in capsys.readouterr().err


@pytest.fixture
def copy(peer_release, tmp_path):
    """A copy of the release that may be changed."""
    folder = tmp_path / "release"
    for path in peer_release.rglob("*"):
        if path.is_file() and path.suffix != ".npz":
            target = folder / path.relative_to(peer_release)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    return folder


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")


def change_config(folder, change):
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def test_heads_equal_their_tensors(imported, peer_weights):
    groups = ("protein_projection", "text_projection")
    expected = {group: peer_params.projection(peer_weights, group) for group in groups} | {
        "mlm_head": peer_params.token_head(peer_weights, "mlm_head"),
        "bsr_head": peer_params.token_head(peer_weights, "t2p_mlm_head"),
        "cross_attention": peer_params.cross_attention(peer_weights),
        "prototype_bank": {"prototypes": peer_weights["proto_bank.prototype.weight"]},
        "logit_scale": {"log": peer_weights["logit_scale"]},
        "segment_logit_scale": {"log": peer_weights["local_logit_scale"][0]},
    }
    assert expected.keys() == HEAD_GROUPS
    chex.assert_trees_all_equal({group: imported.params[group] for group in expected}, expected)


def test_every_tensor_is_used_or_listed(imported, peer_weights):
    params = imported.params
    back = {
        f"protein_model.{name}": tensor for name, tensor in esm2_tensors(params["protein"]).items()
    }
    back |= {f"text_model.{name}": tensor for name, tensor in bert_tensors(params["text"]).items()}
    back |= head_tensors(params)
    listed = {
        f"{group}.{name}.{part}"
        for group in UNUSED
        for name in UNUSED[group]
        for part in ("weight", "bias")
    }
    listed.add("protein_model.embeddings.position_embeddings.weight")
    assert set(imported.source["unused"]) == listed
    assert back.keys() == peer_weights.keys() - listed
    for name, tensor in back.items():
        expected = peer_weights[name] if name != "local_logit_scale" else peer_weights[name][[0, 0]]
        assert tensor.dtype == np.float32
        np.testing.assert_array_equal(tensor, expected, err_msg=name)


def test_a_tensor_of_the_towers_is_where_the_encoder_reads_it(imported, peer_weights):
    query = imported.params["protein"]["layers"]["attention"]["qkv"]["kernel"][1][:, :32]
    np.testing.assert_array_equal(
        query, peer_weights["protein_model.encoder.layer.1.attention.self.query.weight"].T
    )
    wide = imported.params["text"]["layers"]["feed_forward"]["input"]["kernel"][0]
    np.testing.assert_array_equal(
        wide, peer_weights["text_model.encoder.layer.0.intermediate.dense.weight"].T
    )


def test_stored_config(imported):
    model = imported.config["model"]
    assert (model["projection_dim"], model["num_prototypes"], model["prototype_temperature"]) == (
        24,
        16,
        0.9,
    )
    assert (model["protein"]["layer_norm_eps"], model["protein"]["token_dropout"]) == (1e-5, True)
    assert (model["text"]["num_heads"], model["text"]["max_positions"]) == (4, 512)
    assert imported.config["tokenizer"] == {
        "max_protein_tokens": 1024,
        "max_text_tokens": 512,
        "crop_ends": True,
        "names": "all",
        "property_subset": 0.0,
    }


def test_float16_is_widened_and_its_frequencies_kept(copy, imported):
    def narrow(tensors):
        tensors |= {name: tensor.astype(np.float16) for name, tensor in tensors.items()}

    change_weights(copy, narrow)
    params = import_released(copy).params
    rounded = params["protein"]["rotary_inv_freq"]
    np.testing.assert_array_equal(
        rounded, imported.params["protein"]["rotary_inv_freq"].astype(np.float16).astype(np.float32)
    )
    chex.assert_trees_all_equal_shapes_and_dtypes(params, imported.params)
    chex.assert_trees_all_close(params, imported.params, rtol=1e-3, atol=1e-4)


def test_command_writes_a_checkpoint(copy, imported, tmp_path, capsys):
    assert main(["protclip", "--source", str(copy), "--output", str(tmp_path / "ours")]) == 0
    fingerprint = params_fingerprint(imported.params)
    printed = capsys.readouterr().err
    for part in (
        fingerprint,
        "protein_projection",
        "1,392 numbers",
        "predictor.0 (2)",
        "protein_model.pooler.dense (2)",
    ):
        assert part in printed
    stored = json.loads((tmp_path / "ours" / "config.json").read_text())
    assert stored["config"] == imported.config
    assert stored["source"]["fingerprint"] == fingerprint
    assert (
        stored["source"]["files"]["model.safetensors"]["bytes"]
        == (copy / "model.safetensors").stat().st_size
    )
    assert stored_groups(tmp_path / "ours", 0) == HEAD_GROUPS | {"protein", "text"}
    assert len(metadata.load_text_tokenizer(tmp_path / "ours").vocabulary) == 160
    assert main(["protclip", "--source", str(copy), "--output", str(tmp_path / "ours")]) == 2
    assert "exists and is not empty" in capsys.readouterr().err


def test_unused_names_change_no_token(imported, peer_release):
    theirs = TextTokenizer.load(peer_release / "backbones" / "text")
    for text in ("FUNCTION: Cleaves [unused0] links.", "[unused0]", "[unused 3] [MASK]"):
        np.testing.assert_array_equal(imported.text_tokenizer.encode(text), theirs.encode(text))


QUERY = "protein_model.encoder.layer.0.attention.self.query.weight"
WRONG_WEIGHTS = {
    "missing": (lambda tensors: tensors.pop(QUERY), f"lacks the tensor {QUERY}"),
    "extra": (
        lambda tensors: tensors.update({"text_model.adapter": np.zeros(1)}),
        r"such as text_model\.adapter",
    ),
    "shape": (
        lambda tensors: tensors.update({QUERY: np.zeros((32, 33))}),
        rf"{QUERY} has .*\[32, 33\].*\[32, 32\]",
    ),
}


@pytest.mark.parametrize("kind", WRONG_WEIGHTS)
def test_wrong_towers_are_named(copy, kind):
    change, message = WRONG_WEIGHTS[kind]
    change_weights(copy, change)
    with pytest.raises(UserError, match=message):
        import_released(copy)


def test_scales_above_100_are_read_as_100(peer_weights, imported):
    heads = {}
    for name, tensor in peer_weights.items():
        if not name.startswith(("protein_model", "text_model")):
            heads[name] = tensor
    heads["logit_scale"] = np.array(5.0, np.float32)
    abstract = {group: imported.params[group] for group in HEAD_GROUPS}
    params = head_params(heads, abstract)
    np.testing.assert_allclose(np.exp(params["logit_scale"]["log"]), 100.0, rtol=1e-6)
    stored = peer_weights["local_logit_scale"][0]
    np.testing.assert_array_equal(params["segment_logit_scale"]["log"], stored)


WRONG_HEADS = {
    "missing": (
        lambda tensors: tensors.pop("decoder.key.bias"),
        "lacks the tensor decoder.key.bias",
    ),
    "missing scale": (
        lambda tensors: tensors.pop("local_logit_scale"),
        "lacks the tensor local_logit_scale",
    ),
    "extra": (
        lambda tensors: tensors.update({"fusion.weight": np.zeros(1)}),
        r"such as fusion\.weight",
    ),
    "scale": (
        lambda tensors: tensors.update(local_logit_scale=np.zeros(3, np.float32)),
        r"local_logit_scale has .*\[3\]",
    ),
    "integers": (
        lambda tensors: tensors.update(logit_scale=np.array(3)),
        "logit_scale is of dtype int64",
    ),
}


@pytest.mark.parametrize("kind", WRONG_HEADS)
def test_wrong_heads_are_named(imported, peer_weights, kind):
    change, message = WRONG_HEADS[kind]
    heads = {
        name: tensor
        for name, tensor in peer_weights.items()
        if not name.startswith(("protein_model", "text_model"))
    }
    abstract = {group: imported.params[group] for group in HEAD_GROUPS}
    chex.assert_trees_all_equal(head_params(heads, abstract), abstract)
    change(heads)
    with pytest.raises(UserError, match=message):
        head_params(heads, abstract)


WRONG_CONFIGS = {
    "no tower": (lambda config: config.pop("text_model_config"), "lacks text_model_config"),
    "other tower": (
        lambda config: config["protein_model_config"].update(model_type="t5"),
        "protein_model_config .*model_type",
    ),
    "prototypes": (lambda config: config.update(proto_num=0), "proto_num=0"),
    "two widths": (lambda config: config.update(proto_dim=23), "proto_dim=23"),
    "other prototypes": (
        lambda config: config.update(proto_num=15),
        r"proto_bank.*\[16, 24\].*\[15, 24\]",
    ),
}


@pytest.mark.parametrize("kind", WRONG_CONFIGS)
def test_wrong_configs_are_named(copy, kind):
    change, message = WRONG_CONFIGS[kind]
    change_config(copy, change)
    with pytest.raises(UserError, match=message):
        import_released(copy)


def test_a_text_tokenizer_beside_the_weights_or_given(copy, imported, tmp_path):
    given = tmp_path / "given"
    shutil.move(copy / "backbones" / "text", given)
    with pytest.raises(UserError, match="--text_tokenizer"):
        import_released(copy)
    vocabulary = imported.text_tokenizer.vocabulary
    assert import_released(copy, text_tokenizer=given).text_tokenizer.vocabulary == vocabulary
    shutil.copytree(given, copy / "pubmedbert")
    (copy / "vocab.txt").write_bytes((given / "vocab.txt").read_bytes())
    assert import_released(copy).text_tokenizer.vocabulary == vocabulary


def test_text_tokenizers_that_do_not_fit(copy, imported):
    vocabulary = (copy / "backbones" / "text" / "vocab.txt").read_text()
    (copy / "vocab.txt").write_text(vocabulary + "more\n")
    with pytest.raises(UserError, match="hold different text tokenizers; choose one"):
        import_released(copy)
    (copy / "vocab.txt").write_text("\n".join([*imported.text_tokenizer.vocabulary, "another"]))
    with pytest.raises(UserError, match="161 tokens, but the text model's config says 160"):
        import_released(copy)


def test_a_foreign_protein_vocabulary_is_refused(copy):
    tokens = [*protein_tokenizer.VOCABULARY]
    tokens[4:6] = tokens[5:3:-1]
    (copy / "backbones" / "protein" / "vocab.txt").write_text("\n".join(tokens))
    with pytest.raises(UserError, match="is not ESM-2's vocabulary"):
        import_released(copy)


@pytest.mark.parametrize("prefix", ["module.", "model."])
def test_the_prefix_of_a_wrapper_is_left_out(copy, imported, capsys, prefix):
    tensors = load_file(copy / "model.safetensors")
    save_file(
        {f"{prefix}{name}": tensor for name, tensor in tensors.items()}, copy / "model.safetensors"
    )
    assert params_fingerprint(import_released(copy).params) == params_fingerprint(imported.params)
    assert f"begin with '{prefix}', which is left out" in capsys.readouterr().err
