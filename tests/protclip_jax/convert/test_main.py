"""`python -m protclip_jax.convert`: folders as people have them, and one sentence with exit code
2 for mistakes."""

import json
import os
import shutil

import numpy as np
import pytest
from safetensors.numpy import save_file

from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.checkpoints import metadata
from protclip_jax.convert.__main__ import main
from protclip_jax.convert.checkpoint import read_checkpoint
from tests.support import hf_weights, tiny
from tests.support.hf_weights import BERT, ESM2, VOCABULARY, make_bert, make_esm2


@pytest.fixture
def esm2(tmp_path):
    """An ESM-2 as published: a masked language model's names, a frequency in each layer, a
    vocabulary."""
    folder = tmp_path / "esm2"
    folder.mkdir()
    tensors = {f"esm.{name}": tensor for name, tensor in make_esm2().items()}
    for layer in range(2):
        name = f"esm.encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"
        tensors[name] = np.array([1.0, 0.01], np.float32)
    tensors |= {
        "lm_head.bias": np.zeros(33, np.float32),
        "lm_head.dense.weight": np.zeros((8, 8), np.float32),
    }
    tensors |= {
        "esm.embeddings.position_ids": np.arange(16)[None],
        "esm.contact_head.regression.bias": np.zeros(1, np.float32),
    }
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(ESM2))
    (folder / "vocab.txt").write_text("\n".join(protein_tokenizer.VOCABULARY))
    return folder


@pytest.fixture
def bert(tmp_path):
    folder = tmp_path / "bert"
    folder.mkdir()
    save_file(make_bert(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(BERT))
    (folder / "vocab.txt").write_text(VOCABULARY)
    return folder


def run(capsys, *arguments):
    code = main(list(map(str, arguments)))
    return code, capsys.readouterr().err


def test_what_was_filled_and_left_out_is_said_and_stored(esm2, bert, tmp_path, capsys):
    code, printed = run(
        capsys, "hf", "--protein", esm2, "--text", bert, "--output", tmp_path / "out"
    )
    assert code == 0
    metadata = json.loads((tmp_path / "out" / "config.json").read_text())
    source = metadata["source"]
    unused = ["contact_head.regression.bias", "embeddings.position_ids"]
    expected = [f"protein: esm.{name}" for name in unused] + [
        "protein: lm_head.bias",
        "protein: lm_head.dense.weight",
    ]
    assert source["unused"] == expected
    assert set(source["files"]) == {
        f"{tower}/{name}"
        for tower in ("protein", "text")
        for name in ("config.json", "model.safetensors", "vocab.txt")
    }
    assert source["fingerprint"] in printed
    numbers = sum(leaf.size for leaf in make_bert().values())
    assert f"{numbers:,} numbers" in printed
    assert "protein: lm_head.dense" in printed
    assert metadata["config"]["tokenizer"]["max_text_tokens"] == 16
    assert metadata["config"]["loss"] == {
        "gc": 1.0,
        "bsr": 0.7,
        "mlm": 0.3,
        "pda": 1.0,
        "features": 0.0,
        "sigmoid": 0.0,
        "matryoshka": 0.0,
        "mask_duplicates": False,
    }
    assert {path.name for path in tmp_path.iterdir()} == {"esm2", "bert", "out"}


def test_a_folder_like_pubmedberts(tmp_path, capsys):
    """vocab.txt, config.json and pytorch_model.bin of a masked language model, with the old
    names of layer norms."""
    torch = pytest.importorskip("torch")
    tokenizer = tiny.text_tokenizer()
    model = hf_weights.tiny_bert(vocab_size=len(tokenizer.vocabulary))
    state = {f"bert.{name}": tensor for name, tensor in model.state_dict().items()}
    state = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): tensor
        for name, tensor in state.items()
    }
    state |= {
        "cls.predictions.bias": torch.zeros(5),
        "bert.embeddings.position_ids": torch.arange(48)[None],
    }
    folder = tmp_path / "pubmedbert"
    folder.mkdir()
    torch.save(state, folder / "pytorch_model.bin")
    names = (
        "hidden_size",
        "num_hidden_layers",
        "num_attention_heads",
        "intermediate_size",
        "max_position_embeddings",
    )
    config = {name: getattr(model.config, name) for name in names} | {
        "model_type": "bert",
        "hidden_act": "gelu",
    }
    (folder / "config.json").write_text(
        json.dumps(config | {"vocab_size": len(tokenizer.vocabulary)})
    )
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokenizer.vocabulary))
    code, printed = run(capsys, "hf", "--text", folder, "--output", tmp_path / "out")
    assert code == 0, printed
    assert "bert.pooler.dense (2)" in printed
    params = read_checkpoint(tmp_path / "out", None).params["text"]
    for layer in range(2):
        expected = model.state_dict()[
            f"encoder.layer.{layer}.attention.output.LayerNorm.weight"
        ].numpy()
        np.testing.assert_array_equal(params["layers"]["attention_norm"]["scale"][layer], expected)
    assert metadata.load_text_tokenizer(tmp_path / "out").vocabulary == tokenizer.vocabulary


MISTAKES = {
    "nothing": ([], "nothing to convert"),
    "heads without text": (
        ["--protein", "esm2", "--heads", "bert"],
        "--heads needs both towers",
    ),
    "no folder": (["--protein", "esm2/absent"], "absent is not a folder"),
    "a BERT as protein": (["--protein", "bert"], "model_type='bert' is not supported, only 'esm'"),
    "an ESM-2 as text": (["--text", "esm2"], "model_type='esm' is not supported, only 'bert'"),
    "damaged weights": (
        ["--protein", "damaged"],
        "model.safetensors cannot be read as safetensors",
    ),
    "no vocabulary": (["--text", "without_vocabulary"], "no text vocabulary at"),
    "heads that are none": (
        ["--protein", "esm2", "--text", "bert", "--heads", "bert/model.safetensors"],
        "The heads lack the matrix proto_bank.prototype.weight",
    ),
    "output is a file": (
        ["--protein", "esm2", "--output", "esm2/config.json"],
        "exists and is not empty",
    ),
    "output below a file": (
        ["--protein", "esm2", "--output", "esm2/config.json/x"],
        "cannot be created",
    ),
}


@pytest.mark.parametrize("kind", MISTAKES)
def test_mistakes_end_with_one_sentence_and_no_folder(
    esm2, bert, tmp_path, monkeypatch, capsys, kind
):
    shutil.copytree(esm2, tmp_path / "damaged")
    os.truncate(tmp_path / "damaged" / "model.safetensors", 500)
    shutil.copytree(bert, tmp_path / "without_vocabulary")
    (tmp_path / "without_vocabulary" / "vocab.txt").unlink()
    before = set(tmp_path.rglob("*"))
    monkeypatch.chdir(tmp_path)
    arguments, message = MISTAKES[kind]
    code, printed = run(capsys, "hf", "--output", "out", *arguments)
    assert code == 2
    assert message in printed
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert set(tmp_path.rglob("*")) == before


def test_checkpoints_that_are_none(tmp_path, capsys):
    for subcommand in ("to_hf", "params"):
        code, printed = run(
            capsys, subcommand, "--checkpoint", tmp_path, "--output", tmp_path / "out"
        )
        assert (code, printed.count("\n")) == (2, 1)
        assert "not a checkpoint folder" in printed
        with pytest.raises(SystemExit) as ended:
            main(
                [
                    subcommand,
                    "--checkpoint",
                    str(tmp_path),
                    "--output",
                    str(tmp_path / "out"),
                    "--step",
                    "first",
                ]
            )
        assert ended.value.code == 2
        assert "step 'first'" in capsys.readouterr().err
