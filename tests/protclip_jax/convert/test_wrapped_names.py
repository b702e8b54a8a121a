"""Weights as training programs save them: behind prefixes, with adapters, with the heads of
other tasks, after divergence."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.checkpoints.parameters import params_fingerprint
from protclip_jax.convert.hf_folders import import_hf, read_protein_tower, read_text_tower
from protclip_jax.convert.wrapped_names import unwrapped
from tests.support.hf_weights import BERT, ESM2, SIZES, VOCABULARY, make_bert, make_esm2

TOWERS = {
    "protein": (make_esm2, ESM2, "\n".join(protein_tokenizer.VOCABULARY), read_protein_tower),
    "text": (make_bert, BERT, VOCABULARY, read_text_tower),
}


def folder_of(path, tower, tensors):
    _, config, words, _ = TOWERS[tower]
    path.mkdir()
    if tensors:
        save_file(tensors, path / "model.safetensors")
    (path / "config.json").write_text(json.dumps(config))
    (path / "vocab.txt").write_text(words)
    return path


def behind(prefix, tensors):
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


@pytest.mark.parametrize("tower", TOWERS)
@pytest.mark.parametrize(
    "prefix", ["model.", "module.", "_orig_mod.", "module._orig_mod.", "base_model.model."]
)
@pytest.mark.parametrize("own", [False, True])
def test_the_prefix_of_a_wrapper_is_left_out_and_reported(tmp_path, capsys, tower, prefix, own):
    make, _, _, read = TOWERS[tower]
    named = behind({"protein": "esm.", "text": "bert."}[tower], make()) if own else make()
    found = read(folder_of(tmp_path / "x", tower, behind(prefix, named)))
    assert params_fingerprint(found.params) == params_fingerprint(
        read(folder_of(tmp_path / "y", tower, make())).params
    )
    assert f"/x begin with '{prefix}', which is left out" in capsys.readouterr().err


def test_names_without_a_shared_prefix_stay(capsys):
    tensors = {"model.a": np.zeros(1), "b": np.zeros(1)}
    assert unwrapped(tensors, source="x") is tensors
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("prefix", ["backbone.", "net.encoder.esm."])
def test_another_prefix_is_named_with_what_to_do(tmp_path, prefix):
    folder = folder_of(tmp_path / "x", "protein", behind(prefix, make_esm2()))
    message = (
        rf"it has {prefix}encoder\.\S+; save that part of the model alone, its names without "
        rf"'{prefix}'"
    )
    with pytest.raises(UserError, match=message):
        read_protein_tower(folder)


ADAPTERS = [
    "base_model.model.encoder.layer.0.attention.self.query.lora_A.default.weight",
    "esm.encoder.layer.0.attention.self.query.lora_B.weight",
    "embeddings.word_embeddings.lora_embedding_A",
    "encoder.layer.0.attention.self.query.base_layer.weight",
    "base_model.model.classifier.modules_to_save.default.weight",
    "encoder.layer.0.output.adapters.task.weight",
]


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("tower", TOWERS)
def test_adapters_that_are_not_merged_are_refused(tmp_path, tower, name):
    make, _, _, read = TOWERS[tower]
    folder = folder_of(tmp_path / "x", tower, make() | {name: np.zeros((2, 8), np.float32)})
    with pytest.raises(
        UserError,
        match=rf"/x holds adapters that are not merged \(1 tensors, such as {name}\); merge them",
    ):
        read(folder)


def test_adapters_alone_are_refused(tmp_path):
    folder = folder_of(tmp_path / "x", "protein", {})
    (folder / "adapter_config.json").write_text("{}")
    (folder / "adapter_model.safetensors").touch()
    with pytest.raises(UserError, match="/x holds adapters alone; merge them into their model"):
        read_protein_tower(folder)


OTHERS = {
    "format_version": "is already a checkpoint of this program",
    "protein_model_config": "is a released ProtCLIP",
}


@pytest.mark.parametrize("field", OTHERS)
@pytest.mark.parametrize("tower", TOWERS)
def test_folders_of_other_kinds_are_reported(tmp_path, tower, field):
    folder = folder_of(tmp_path / "x", tower, {})
    (folder / "config.json").write_text(json.dumps({field: 1}))
    with pytest.raises(UserError, match=OTHERS[field]):
        TOWERS[tower][3](folder)


@pytest.mark.parametrize("value", [np.nan, -np.inf])
@pytest.mark.parametrize("tower", TOWERS)
def test_weights_that_are_not_finite_are_refused(tmp_path, tower, value):
    make, _, _, read = TOWERS[tower]
    tensors = make()
    tensors["encoder.layer.1.output.dense.weight"][3, 2] = value
    with pytest.raises(
        UserError, match=r"Tensor encoder\.layer\.1\.output\.dense\.weight holds NaN or infinity"
    ):
        read(folder_of(tmp_path / "x", tower, tensors))


def test_a_bert_that_answers_questions_is_a_bert(tmp_path):
    head = {
        "qa_outputs.weight": np.zeros((2, 8), np.float32),
        "qa_outputs.bias": np.zeros(2, np.float32),
    }
    folder = folder_of(tmp_path / "x", "text", behind("bert.", make_bert()) | head)
    source = import_hf(protein=None, text=folder, heads=None).source
    assert source["unused"] == ["text: qa_outputs.bias", "text: qa_outputs.weight"]


@pytest.mark.parametrize("tower", TOWERS)
def test_every_model_that_transformers_makes_of_the_encoder_is_read(tmp_path, tower):
    """Whatever heads a release of transformers adds, they are known to be without use here."""
    pytest.importorskip("torch")
    import transformers

    begin, config = {
        "protein": ("Esm", transformers.EsmConfig),
        "text": ("Bert", transformers.BertConfig),
    }[tower]
    fields = {name: value for name, value in TOWERS[tower][1].items() if name != "model_type"}
    kinds = [
        name
        for name in dir(transformers)
        if name.startswith((f"{begin}For", f"{begin}LM", f"{begin}Model"))
    ]
    assert len(kinds) >= 4
    for name in kinds:
        if name != "EsmForProteinFolding":
            model = getattr(transformers, name)(config(**fields, mask_token_id=32, pad_token_id=1))
            tensors = {key: tensor.numpy().copy() for key, tensor in model.state_dict().items()}
            found = TOWERS[tower][3](folder_of(tmp_path / name, tower, tensors))
            assert found.fields["num_layers"] == SIZES["num_hidden_layers"]


def test_a_training_programs_checkpoint_says_where_its_weights_are(tmp_path):
    torch = pytest.importorskip("torch")
    folder = folder_of(tmp_path / "x", "protein", {})
    inner = {name: torch.from_numpy(tensor) for name, tensor in make_esm2().items()}
    torch.save({"epoch": 3, "state_dict": inner}, folder / "pytorch_model.bin")
    with pytest.raises(
        UserError, match="the weights may be within state_dict: save what that holds alone"
    ):
        read_protein_tower(folder)
