"""config.json and the tokenizers of a checkpoint are sealed: what decides the numbers cannot
change without a word."""

import json
import os
import random

import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import metadata
from protclip_jax.checkpoints.parameters import stored_groups
from tests.support import tiny
from tests.support.damage import flip_bit
from tests.support.tiny import CONFIG

VOCABULARY = "tokenizers/text/vocab.txt"


@pytest.fixture
def checkpoint(tmp_path):
    metadata.write_metadata(
        tmp_path,
        {**CONFIG, "mesh": {"rules": [(".", "fsdp")]}},
        tiny.text_tokenizer(),
        dataset="digest",
    )
    return tmp_path


def edit(folder, change):
    stored = json.loads((folder / "config.json").read_text())
    change(stored)
    (folder / "config.json").write_text(json.dumps(stored))


def test_what_was_written_is_read(checkpoint):
    assert metadata.read_model_config(checkpoint)["model"] == CONFIG["model"]


@pytest.mark.parametrize(
    "name",
    [
        "config.json",
        VOCABULARY,
        "tokenizers/text/tokenizer_config.json",
        "tokenizers/protein/vocab.txt",
    ],
)
def test_every_bit_that_flips_is_found(checkpoint, name):
    path, rng = checkpoint / name, random.Random(name)
    whole = path.read_bytes()
    # Without its name there is no seal: such a file is one of older code, and nothing else in it
    # has changed.
    unnamed = whole.find(b'"seal"') if name == "config.json" else len(whole)
    for _ in range(150):
        position, bit = rng.randrange(len(whole)), rng.randrange(8)
        if unnamed <= position < unnamed + len(b'"seal"'):
            continue
        path.write_bytes(
            whole[:position] + bytes([whole[position] ^ 1 << bit]) + whole[position + 1 :]
        )
        with pytest.raises(UserError):
            metadata.read_config(checkpoint)
    path.write_bytes(whole)
    metadata.read_config(checkpoint)


@pytest.mark.parametrize("name", ["theta", "negatives"])
def test_a_setting_that_was_changed_is_refused_unless_it_is_meant(checkpoint, name):
    edit(
        checkpoint,
        lambda stored: stored["config"]["pda"].update({name: 0.1 if name == "theta" else "both"}),
    )
    with pytest.raises(
        UserError,
        match=r"config\.json .*remove the field",
    ):
        metadata.read_config(checkpoint)
    edit(checkpoint, lambda stored: stored.pop("seal"))
    assert metadata.read_config(checkpoint)["pda"][name] in (0.1, "both")


def test_a_word_that_was_changed_is_refused(checkpoint):
    words = (checkpoint / VOCABULARY).read_text().replace("function", "functional")
    (checkpoint / VOCABULARY).write_text(words)
    with pytest.raises(UserError, match=r"text/vocab\.txt has changed"):
        metadata.read_config(checkpoint)


def test_a_tokenizer_file_that_is_new_or_missing_is_refused(checkpoint):
    (checkpoint / "tokenizers/text/.DS_Store").write_text("")
    (checkpoint / "tokenizers/text/tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match=r"text/tokenizer\.json is not of the checkpoint"):
        metadata.read_config(checkpoint)
    (checkpoint / "tokenizers/text/tokenizer.json").unlink()
    (checkpoint / VOCABULARY).unlink()
    with pytest.raises(UserError, match=r"text/vocab\.txt is missing"):
        metadata.read_config(checkpoint)


def test_a_checkpoint_of_older_code_has_no_seal_and_is_read(checkpoint):
    edit(checkpoint, lambda stored: [stored.pop(name) for name in ("seal", "tokenizers")])
    assert metadata.read_model_config(checkpoint)["model"] == CONFIG["model"]


@pytest.mark.parametrize("files", [None, [], "x"])
def test_a_seal_of_a_stranger_is_one_sentence(checkpoint, files):
    stored = json.loads((checkpoint / "config.json").read_text())
    metadata.save_sealed(checkpoint, stored | {"tokenizers": files})
    with pytest.raises(UserError, match="does not list the tokenizers' files"):
        metadata.read_config(checkpoint)


def test_parameters_that_were_damaged_after_a_first_look_are_found(tmp_path):
    """Also where the time of the last change was put back."""
    folder = tiny.save(tmp_path, CONFIG)
    assert "protein" in stored_groups(folder, 0)
    path = max(folder.glob("checkpoints/0/params/**/d/*"), key=lambda path: path.stat().st_size)
    before = path.stat()
    flip_bit(path, random.Random(0))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(UserError, match="is damaged"):
        stored_groups(folder, 0)
