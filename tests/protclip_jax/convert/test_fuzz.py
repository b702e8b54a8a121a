"""Weights from strangers: damaged headers, configs and tokenizers are converted or refused,
links are read through."""

import contextlib
import copy
import json
import os
import pathlib
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.tokenizers import protein_tokenizer
from protclip_jax.convert.hf_folders import import_hf
from protclip_jax.convert.tensors import read_safetensors, read_weights, write_safetensors
from tests.support.hf_weights import BERT, ESM2, VOCABULARY, make_bert, make_esm2

FUZZ = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> dict[str, pathlib.Path]:
    """A Hugging Face folder of each tower."""
    made = {}
    for name, tensors, config, words in (
        ("protein", make_esm2(), ESM2, "\n".join(protein_tokenizer.VOCABULARY)),
        ("text", make_bert(), BERT, VOCABULARY),
    ):
        made[name] = tmp_path_factory.mktemp(name)
        write_safetensors(made[name] / "model.safetensors", tensors)
        (made[name] / "config.json").write_text(json.dumps(config))
        (made[name] / "vocab.txt").write_text(words)
    return made


def convert(folders, name):
    return import_hf(**{"protein": None, "text": None, "heads": None, name: folders[name]})


VALUES = st.none() | st.booleans() | st.integers(-3, 1 << 70) | st.floats() | st.text(max_size=5)
VALUES |= st.sampled_from([1 << 16, 1 << 24, "esm", "bert", [1], {"a": 1}, 10**400, "\x1b[2J"])


@pytest.mark.parametrize("name", ["protein", "text"])
@settings(max_examples=60, **FUZZ)
@given(data=st.data())
def test_any_config_is_converted_or_refused(folders, name, data):
    """A config may ask for terabytes; nothing is allocated before the tensors confirm it."""
    path = folders[name] / "config.json"
    sound = path.read_text()
    fields = {
        **json.loads(sound),
        "hidden_act": 0,
        "token_dropout": 0,
        "initializer_range": 0,
        "is_decoder": 0,
    }
    changes = data.draw(
        st.dictionaries(st.sampled_from(sorted(fields)), VALUES, min_size=1, max_size=3)
    )
    path.write_text(json.dumps(json.loads(sound) | changes))
    try:
        with contextlib.suppress(UserError):
            convert(folders, name)
    finally:
        path.write_text(sound)


HEADER = {
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
    "__metadata__": {"format": "pt"},
}
PLACES = [(tensor, field) for tensor in ("a", "b") for field in ("dtype", "shape", "data_offsets")]


@settings(max_examples=300, **FUZZ)
@given(data=st.data())
def test_any_header_is_read_as_it_says_or_refused(tmp_path_factory, data):
    """What is read lies within the file, and is as large as it says."""
    header = copy.deepcopy(HEADER)
    numbers = st.integers(-1, 40) | st.sampled_from([1 << 31, 1 << 63, 1 << 64, 10**400])
    for tensor, field in data.draw(st.lists(st.sampled_from(PLACES), max_size=3)):
        header[tensor][field] = data.draw(
            st.lists(numbers, max_size=3) | st.sampled_from(["F64", "I8", "BOOL", "X"]) | VALUES
        )
    text = json.dumps(header).encode()
    length = len(text) + data.draw(st.sampled_from([0, 0, 0, 1, -1, 1 << 40, 1 << 63]))
    content = (
        length.to_bytes(8, "little") + text + bytes(data.draw(st.sampled_from([32, 32, 31, 33, 0])))
    )
    path = tmp_path_factory.getbasetemp() / "fuzz.safetensors"
    path.write_bytes(content[: len(content) - data.draw(st.sampled_from([0, 0, 0, 40]))])
    with contextlib.suppress(UserError):
        tensors = read_safetensors(path)
        assert sum(tensor.nbytes for tensor in tensors.values()) == path.stat().st_size - 8 - length
        shapes = {name: entry["shape"] for name, entry in header.items() if name != "__metadata__"}
        assert {name: list(tensor.shape) for name, tensor in tensors.items()} == shapes


@settings(max_examples=200, **FUZZ)
@given(
    content=st.binary(max_size=200),
    changed=st.lists(st.tuples(st.integers(0, 400), st.binary(min_size=1, max_size=9)), max_size=4),
)
def test_any_bytes_are_read_or_refused(tmp_path_factory, content, changed):
    path = tmp_path_factory.getbasetemp() / "noise.safetensors"
    write_safetensors(path, {"a": np.ones((2, 3), np.float32), "b": np.zeros(4, np.float16)})
    damaged = bytearray(path.read_bytes())
    for position, noise in changed:
        damaged[position : position + len(noise)] = noise
    for given_bytes in (bytes(damaged), content):
        path.write_bytes(given_bytes)
        with contextlib.suppress(UserError):
            read_safetensors(path)


def test_a_large_vocabulary_beside_weights_is_not_read(folders, tmp_path):
    for name in folders:
        linked = tmp_path / name
        linked.mkdir()
        for path in folders[name].iterdir():
            if path.name != "vocab.txt":
                (linked / path.name).symlink_to(path)
        (linked / "vocab.txt").touch()
        os.truncate(linked / "vocab.txt", 1 << 30)
        with pytest.raises(UserError, match="1073741824 bytes"):
            convert({name: linked}, name)


@pytest.mark.parametrize("name", ["protein", "text"])
def test_a_folder_of_links_is_read_as_hugging_faces_cache_is(folders, tmp_path, name):
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "0123"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    for index, path in enumerate(folders[name].iterdir()):
        (blobs / str(index)).write_bytes(path.read_bytes())
        (snapshot / path.name).symlink_to(f"../../blobs/{index}")
    found, plain = convert({name: snapshot}, name), convert(folders, name)
    assert found.config == plain.config
    np.testing.assert_array_equal(
        found.params[name]["token_embedding"]["embedding"],
        plain.params[name]["token_embedding"]["embedding"],
    )


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "vocab.txt"])
def test_pipes_and_devices_are_not_read(folders, tmp_path, name):
    for index, make in enumerate((os.mkfifo, lambda path: path.symlink_to("/dev/zero"))):
        folder = tmp_path / str(index)
        folder.mkdir()
        for path in folders["text"].iterdir():
            if path.name != name:
                (folder / path.name).symlink_to(path)
        make(folder / name)
        with pytest.raises(UserError):
            convert({"text": folder}, "text")


def test_an_archive_that_unpacks_to_more_than_its_size_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(1 << 20)}, tmp_path / "stored.bin")
    path = tmp_path / "pytorch_model.bin"
    with (
        zipfile.ZipFile(tmp_path / "stored.bin") as stored,
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed,
    ):
        for member in stored.namelist():
            packed.writestr(member, stored.read(member))
    assert path.stat().st_size < 10_000
    with pytest.raises(UserError, match="members are compressed"):
        read_weights(tmp_path)
