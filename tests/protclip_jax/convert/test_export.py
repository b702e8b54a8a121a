"""Hugging Face → ours → Hugging Face: the same tensors, hidden states, token ids and files."""

import hashlib
import json
import re

import chex
import jax
import ml_dtypes
import numpy as np
import pytest
import transformers
from safetensors.numpy import load_file

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax import ProtCLIP
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import params_fingerprint, save_params, stored_groups
from protclip_jax.convert.__main__ import main
from protclip_jax.convert.checkpoint import Checkpoint, converted_config, read_checkpoint
from protclip_jax.convert.export import export_checkpoint
from protclip_jax.convert.heads import HEAD_GROUPS
from protclip_jax.convert.hf_folders import import_hf
from protclip_jax.convert.tensors import read_safetensors
from protclip_jax.models.initialize import abstract_groups
from tests.support import hf_weights, tiny

ENCODER = {"num_layers": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64}
CONFIG = converted_config(
    ENCODER, {**ENCODER, "max_positions": 512}, projection_dim=16, num_prototypes=8
)

SEQUENCE, TEXT = "MKTAYIAKQRQISFVKSHFSRQXBUZO", "FUNCTION: cleaves Peptide bonds (EC 3.4.21.4)."
BESIDE = {"README.md", "LICENSE.md", ".gitattributes", "protclip_config.json"}
"""What every export has beside towers and heads."""
ABSENT = {
    "contact_head.regression.weight",
    "contact_head.regression.bias",
    "pooler.dense.weight",
    "pooler.dense.bias",
}


def torch_hidden(model, ids):
    import torch

    with torch.no_grad():
        return model(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids))
        ).last_hidden_state.numpy()


def hashes(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def theirs():
    """Tiny transformers models; the rotary frequencies are rounded, as in the released
    checkpoint."""
    torch = pytest.importorskip("torch")
    esm, bert = (
        hf_weights.tiny_esm(),
        hf_weights.tiny_bert(vocab_size=len(tiny.text_tokenizer().vocabulary)),
    )
    with torch.no_grad():
        esm.rotary_embeddings.inv_freq.copy_(esm.rotary_embeddings.inv_freq.half().float())
    return {"protein": esm, "text": bert}


@pytest.fixture(scope="module")
def folders(theirs, tmp_path_factory):
    """`theirs` as saved by transformers, converted to a checkpoint, and exported from there."""
    root = tmp_path_factory.mktemp("round_trip")
    for name, model in theirs.items():
        model.save_pretrained(
            root / "theirs" / name, max_shard_size="20KB" if name == "text" else "1GB"
        )
    assert (root / "theirs" / "text" / "model.safetensors.index.json").exists()
    tiny.text_tokenizer().save(root / "theirs" / "text")
    towers = [
        "--protein",
        str(root / "theirs" / "protein"),
        "--text",
        str(root / "theirs" / "text"),
    ]
    assert main(["hf", *towers, "--output", str(root / "ours")]) == 0
    assert main(["to_hf", "--checkpoint", str(root / "ours"), "--output", str(root / "back")]) == 0
    return root


@pytest.mark.parametrize("tower", ["protein", "text"])
def test_tensors_come_back_bit_by_bit(folders, theirs, tower):
    expected = {
        name: tensor.numpy()
        for name, tensor in theirs[tower].state_dict().items()
        if name not in ABSENT
    }
    exported = load_file(folders / "back" / tower / "model.safetensors")
    if tower == "protein":
        inv_freq = expected.pop("rotary_embeddings.inv_freq")
        for layer in range(2):
            stored = exported.pop(
                f"encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"
            )
            np.testing.assert_array_equal(stored, inv_freq)
    assert exported.keys() == expected.keys()
    for name, tensor in expected.items():
        assert exported[name].dtype == tensor.dtype
        np.testing.assert_array_equal(exported[name], tensor, err_msg=name)


@pytest.mark.parametrize("tower", ["protein", "text"])
def test_transformers_gives_the_same_hidden_states_and_our_token_ids(folders, theirs, tower):
    model_class = {"protein": transformers.EsmModel, "text": transformers.BertModel}[tower]
    loaded, found = model_class.from_pretrained(
        folders / "back" / tower, add_pooling_layer=False, output_loading_info=True
    )
    assert set(found["missing_keys"]) <= ABSENT
    assert not found["unexpected_keys"]
    ours = {
        "protein": protein_tokenizer.encode(SEQUENCE),
        "text": metadata.load_text_tokenizer(folders / "ours").encode(TEXT),
    }[tower].tolist()
    ids = transformers.AutoTokenizer.from_pretrained(folders / "back" / tower)(
        {"protein": SEQUENCE, "text": TEXT}[tower]
    )
    assert ids["input_ids"] == ours
    np.testing.assert_array_equal(
        torch_hidden(loaded.eval(), ours), torch_hidden(theirs[tower], ours)
    )


def test_the_exported_tokenizer_truncates_to_the_towers_positions(folders):
    tokenizer = transformers.AutoTokenizer.from_pretrained(folders / "back" / "text")
    longest = read_checkpoint(folders / "ours", None).config["model"]["text"]["max_positions"]
    ids = tokenizer("FUNCTION: " + "zinc " * 900, truncation=True)["input_ids"]
    assert (tokenizer.model_max_length, len(ids)) == (longest, longest)


def test_a_tower_alone_goes_both_ways(folders, tmp_path):
    for tower in ("protein", "text"):
        alone = [f"--{tower}", str(folders / "theirs" / tower)]
        assert main(["hf", *alone, "--output", str(tmp_path / f"{tower}_ours")]) == 0
        assert stored_groups(tmp_path / f"{tower}_ours", 0) == {tower}
        model = metadata.read_config(tmp_path / f"{tower}_ours")["model"]
        assert [name for name in ("protein", "text") if model[name] is not None] == [tower]
        assert (
            main(
                [
                    "to_hf",
                    "--checkpoint",
                    str(tmp_path / f"{tower}_ours"),
                    "--output",
                    str(tmp_path / tower),
                ]
            )
            == 0
        )
        assert {path.name for path in (tmp_path / tower).iterdir()} == {tower, *BESIDE}
        assert hashes(tmp_path / tower / tower) == hashes(folders / "back" / tower)


@pytest.fixture(scope="module")
def params():
    """Random parameters of the tiny model, all groups."""
    rng = np.random.default_rng(0)
    abstract = abstract_groups(tiny.model(), HEAD_GROUPS | {"protein", "text"})
    return jax.tree.map(
        lambda leaf: np.asarray(0.3 * rng.normal(size=leaf.shape), np.float32), abstract
    )


@pytest.fixture(scope="module")
def whole(params, tmp_path_factory):
    """A workdir of the tiny model with two steps, which differ in one number."""
    folder = tmp_path_factory.mktemp("whole")
    metadata.write_metadata(folder, CONFIG, tiny.text_tokenizer())
    save_params(folder, params, step=3)
    save_params(folder, {**params, "logit_scale": {"log": np.array(1.5, np.float32)}}, step=7)
    return folder


def test_two_exports_are_the_same_files(whole, tmp_path):
    for name in ("one", "two"):
        assert (
            main(
                [
                    "to_hf",
                    "--checkpoint",
                    str(whole),
                    "--step",
                    "3",
                    "--output",
                    str(tmp_path / name),
                ]
            )
            == 0
        )
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert (
        main(
            [
                "to_hf",
                "--checkpoint",
                str(whole),
                "--step",
                "latest",
                "--output",
                str(tmp_path / "later"),
            ]
        )
        == 0
    )
    changed = {
        name
        for name, value in hashes(tmp_path / "one").items()
        if hashes(tmp_path / "later")[name] != value
    }
    assert changed == {"heads.safetensors", "README.md", "protclip_config.json"}


def test_an_export_is_read_back_whole(whole, params, tmp_path):
    exported = tmp_path / "exported"
    assert (
        main(["to_hf", "--checkpoint", str(whole), "--step", "3", "--output", str(exported)]) == 0
    )
    towers = ["--protein", str(exported / "protein"), "--text", str(exported / "text")]
    heads = ["--heads", str(exported / "heads.safetensors")]
    assert main(["hf", *towers, *heads, "--output", str(tmp_path / "again")]) == 0
    again = read_checkpoint(tmp_path / "again", None)
    chex.assert_trees_all_equal(again.params, params)
    assert [again.config["model"][name] for name in ("projection_dim", "num_prototypes")] == [16, 8]
    made_from = json.loads((exported / "protclip_config.json").read_text())
    assert made_from["fingerprint"] == params_fingerprint(params)
    assert made_from["config"] == CONFIG


def test_the_sigmoid_contrasts_scale_and_bias_come_back(params, tmp_path):
    learnt = {"sigmoid_scale": {"log": np.float32(2.5)}, "sigmoid_bias": {"bias": np.float32(-7.0)}}
    config = {**CONFIG, "loss": {**CONFIG["loss"], "sigmoid": 0.5}}
    export_checkpoint(
        Checkpoint(params | learnt, config, tiny.text_tokenizer(), {}), tmp_path / "out"
    )
    heads = read_safetensors(tmp_path / "out" / "heads.safetensors")
    assert (heads["sigmoid_logit_scale"], heads["sigmoid_logit_bias"]) == (2.5, -7.0)
    folders = {name: tmp_path / "out" / name for name in ("protein", "text")}
    again = import_hf(**folders, heads=tmp_path / "out" / "heads.safetensors")
    chex.assert_trees_all_equal(again.params, params | learnt)
    assert again.config["loss"]["sigmoid"] > 0


def test_parameters_only_copy(whole, tmp_path):
    assert (
        main(
            [
                "params",
                "--checkpoint",
                str(whole),
                "--step",
                "7",
                "--output",
                str(tmp_path / "copy"),
            ]
        )
        == 0
    )
    copied, original = read_checkpoint(tmp_path / "copy", None), read_checkpoint(whole, 7)
    chex.assert_trees_all_equal(copied.params, original.params)
    assert copied.config == original.config
    assert copied.text_tokenizer.vocabulary == original.text_tokenizer.vocabulary
    assert copied.source["made_from"]["step"] == 7
    assert copied.source["made_from"]["fingerprint"] == params_fingerprint(original.params)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_exports(whole, tmp_path, dtype):
    assert (
        main(
            [
                "to_hf",
                "--checkpoint",
                str(whole),
                "--dtype",
                dtype,
                "--output",
                str(tmp_path / "narrow"),
            ]
        )
        == 0
    )
    assert main(["to_hf", "--checkpoint", str(whole), "--output", str(tmp_path / "wide")]) == 0
    kind = {"float16": np.float16, "bfloat16": ml_dtypes.bfloat16}[dtype]
    for name in ("protein/model.safetensors", "text/model.safetensors", "heads.safetensors"):
        narrow, wide = (
            read_safetensors(tmp_path / "narrow" / name),
            read_safetensors(tmp_path / "wide" / name),
        )
        assert narrow.keys() == wide.keys()
        for tensor, values in wide.items():
            expected = values if tensor.endswith("inv_freq") else values.astype(kind)
            assert narrow[tensor].dtype == expected.dtype
            np.testing.assert_array_equal(narrow[tensor], expected)
    config = transformers.AutoConfig.from_pretrained(tmp_path / "narrow" / "text")
    assert str(config.dtype).removeprefix("torch.") == dtype


def test_numbers_too_large_for_float16_are_refused(whole, tmp_path):
    checkpoint = read_checkpoint(whole, 3)
    prototypes = checkpoint.params["prototype_bank"]["prototypes"].copy()
    prototypes[0, 0] = 1e5
    checkpoint.params["prototype_bank"] = {"prototypes": prototypes}
    with pytest.raises(
        UserError, match=r"proto_bank\.prototype\.weight has numbers too large for float16"
    ):
        export_checkpoint(checkpoint, tmp_path / "out", dtype="float16")
    assert not list(tmp_path.iterdir())
    export_checkpoint(checkpoint, tmp_path / "out", dtype="bfloat16")


def test_the_card_says_how_to_load_and_its_code_gives_our_similarity(
    whole, params, tmp_path, monkeypatch
):
    pytest.importorskip("torch")
    assert (
        main(
            ["to_hf", "--checkpoint", str(whole), "--step", "3", "--output", str(tmp_path / "out")]
        )
        == 0
    )
    card = (tmp_path / "out" / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers\n")
    assert "CC BY 4.0" in card
    assert params_fingerprint(params) in card
    assert json.loads(re.search(r"```json\n(.*?)```", card, re.S)[1]) == CONFIG
    code = re.search(r"```python\n(.*?)```", card, re.S)[1]
    monkeypatch.chdir(tmp_path / "out")
    names = {}
    exec(code, names)
    assert ProtCLIP.load(".").fingerprint == ProtCLIP.load(whole, step=3).fingerprint
    model = ProtCLIP.load(whole, step=3)
    texts = model.encode_texts(["FUNCTION: Cleaves peptide bonds."])
    ours = model.similarity(model.encode_proteins(["MKTAYIAKQRQISFVKSHFSRQ"]), texts)
    np.testing.assert_allclose(names["similarity"].detach().numpy(), ours, atol=1e-5)
