"""Weight files: what is read equals what was written, and every kind of damage is one sentence."""

import json
import os
import pickle
import sys

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from protclip_jax.convert.tensors import read_safetensors, read_weights, write_safetensors

RNG = np.random.default_rng(0)
TENSORS = {
    "matrix": RNG.normal(size=(3, 5)).astype(np.float32),
    "scalar": np.array(2.5, np.float32),
    "half": RNG.normal(size=7).astype(np.float16),
    "brain": RNG.normal(size=(2, 3)).astype(ml_dtypes.bfloat16),
    "ids": np.arange(6)[None],
    "flags": np.array([True, False]),
    "empty": np.zeros((0, 4), np.float32),
}


def assert_same(read, written):
    assert read.keys() == written.keys()
    for name, tensor in written.items():
        assert (read[name].dtype, read[name].shape) == (tensor.dtype, tensor.shape)
        np.testing.assert_array_equal(read[name], tensor)


def file_of(header, data=b"", *, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def entry(shape, begin, end, dtype="F32"):
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_reads_what_the_safetensors_library_writes_and_the_other_way_round(tmp_path):
    save_file(TENSORS, tmp_path / "theirs.safetensors", metadata={"a": "b"})
    assert_same(read_safetensors(tmp_path / "theirs.safetensors"), TENSORS)
    transposed = TENSORS | {"matrix": TENSORS["matrix"].T}
    write_safetensors(tmp_path / "ours.safetensors", transposed)
    assert_same(load_file(tmp_path / "ours.safetensors"), transposed)


def test_files_have_the_usual_permissions(tmp_path):
    write_safetensors(tmp_path / "weights", TENSORS)
    (tmp_path / "other").touch()
    assert (tmp_path / "weights").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_equal_tensors_give_equal_files(tmp_path):
    write_safetensors(tmp_path / "a", TENSORS)
    write_safetensors(tmp_path / "b", dict(reversed(TENSORS.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


FOUR = bytes(4)
DAMAGED = {
    "empty": b"",
    "short": b"\x05\0\0",
    "huge header": file_of({}, length=1 << 62),
    "header beyond the end": file_of({"a": entry([1], 0, 4)}, length=1000),
    "not valid JSON": file_of(b"{'a': 1}"),
    "no object": file_of(b"[1, 2]"),
    "not UTF-8": file_of(b'{"\xff": 1}'),
    "too deep": file_of(b"[" * 200_000),
    "giant number": file_of(b'{"a": ' + b"9" * 5000 + b"}"),
    "name of two lines": file_of({"a\nb": entry([1], 0, 4)}, FOUR),
    "endless name": file_of({"a" * 1000: entry([1], 0, 4)}, FOUR),
    "field twice": file_of(
        b'{"a": {"dtype": "F32", "dtype": "F16", "shape": [1], "data_offsets": [0, 4]}}', FOUR
    ),
    "no entry": file_of({"a": 3}),
    "field missing": file_of({"a": {"dtype": "F32", "shape": [1]}}, FOUR),
    "unknown dtype": file_of({"a": entry([1], 0, 4, "F31")}, FOUR),
    "negative size": file_of({"a": entry([-1], 0, 4)}, FOUR),
    "size true": file_of({"a": entry([True], 0, 4)}, FOUR),
    "size 1.0": file_of({"a": entry([1.0], 0, 4)}, FOUR),
    "offsets backwards": file_of({"a": entry([1], 4, 0)}, FOUR),
    "three offsets": file_of({"a": entry([1], 0, 4) | {"data_offsets": [0, 2, 4]}}, FOUR),
    "too few bytes for the shape": file_of({"a": entry([2], 0, 4)}, FOUR),
    "impossible shape": file_of({"a": entry([0, 1 << 62, 1 << 62], 0, 0)}),
    "impossible rank": file_of({"a": entry([1] * 100, 0, 4)}, FOUR),
    "beyond the data": file_of({"a": entry([2], 0, 8)}, FOUR),
    "bytes left over": file_of({"a": entry([1], 0, 4)}, FOUR * 2),
    "overlap": file_of({"a": entry([2], 0, 8), "b": entry([2], 4, 12)}, FOUR * 3),
    "gap": file_of({"a": entry([1], 0, 4), "b": entry([1], 8, 12)}, FOUR * 3),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_is_one_sentence_that_names_the_file(tmp_path, kind):
    (tmp_path / "model.safetensors").write_bytes(DAMAGED[kind])
    with pytest.raises(UserError, match=r"model\.safetensors cannot be read as safetensors \(.+\)"):
        read_weights(tmp_path)


def test_dtypes_that_numpy_lacks_are_named(tmp_path):
    save_file({"a.scale": np.ones(3, ml_dtypes.float8_e4m3fn)}, tmp_path / "model.safetensors")
    with pytest.raises(
        UserError, match=r"tensor a\.scale has the dtype F8_E4M3, expected one of F64, F32"
    ):
        read_weights(tmp_path)


def test_every_cut_is_noticed(tmp_path):
    write_safetensors(tmp_path / "whole", TENSORS)
    content = (tmp_path / "whole").read_bytes()
    for size in range(len(content)):
        (tmp_path / "cut").write_bytes(content[:size])
        with pytest.raises(UserError):
            read_safetensors(tmp_path / "cut")


def sharded(folder, weight_map=None):
    shards = {
        "one.safetensors": {"a": np.arange(3.0)},
        "two.safetensors": {"b": np.ones(2), "c": np.zeros(1)},
    }
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
    listed = {tensor: name for name, tensors in shards.items() for tensor in tensors} | (
        weight_map or {}
    )
    index = {
        "metadata": {},
        "weight_map": {tensor: name for tensor, name in listed.items() if name is not None},
    }
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return {tensor: array for tensors in shards.values() for tensor, array in tensors.items()}


def test_shards_are_read_together(tmp_path):
    expected = sharded(tmp_path)
    tensors, files = read_weights(tmp_path)
    assert_same(tensors, expected)
    assert [file.name for file in files] == [
        "model.safetensors.index.json",
        "one.safetensors",
        "two.safetensors",
    ]


@pytest.mark.parametrize(
    ("weight_map", "message"),
    [
        (
            {"a": "../outside.safetensors"},
            "'../outside.safetensors'",
        ),
        ({"a": "/etc/passwd"}, "not a file of that folder"),
        ({"a": "sub/one.safetensors"}, "not a file of that folder"),
        ({"a": ".."}, "not a file of that folder"),
        ({"a": ""}, "not a file of that folder"),
        ({"a": "three.safetensors"}, "not a file of that folder"),
        ({"a": 7}, "weight_map"),
        ({"d": "two.safetensors"}, "lists the tensor d"),
        ({"c": None}, "does not list the tensor c of two.safetensors"),
        ({"a": "two.safetensors"}, "lists the tensor a"),
    ],
)
def test_wrong_indices_are_named(tmp_path, weight_map, message):
    save_file({"a": np.zeros(1)}, tmp_path / "outside.safetensors")
    (tmp_path / "model" / "sub").mkdir(parents=True)
    save_file({"a": np.zeros(1)}, tmp_path / "model" / "sub" / "one.safetensors")
    sharded(tmp_path / "model", weight_map)
    with pytest.raises(UserError, match=message):
        read_weights(tmp_path / "model")


def test_folders_without_weights_are_named(tmp_path):
    with pytest.raises(UserError, match="is not a folder"):
        read_weights(tmp_path / "absent")
    with pytest.raises(UserError, match=r"neither model.safetensors nor pytorch_model.bin"):
        read_weights(tmp_path)


@pytest.mark.parametrize("zipped", [True, False])
def test_pytorch_files(tmp_path, zipped):
    torch = pytest.importorskip("torch")
    tensors = {name: tensor for name, tensor in TENSORS.items() if name != "brain"}
    state = {name: torch.from_numpy(tensor.copy()) for name, tensor in tensors.items()}
    state |= {
        "brain": torch.tensor(TENSORS["brain"].astype(np.float32)).bfloat16(),
        "turned": state["matrix"].T,
    }
    torch.save(state, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    assert_same(read_weights(tmp_path).tensors, TENSORS | {"turned": TENSORS["matrix"].T})


class Payload:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (self.marker,)


@pytest.mark.parametrize(
    "kind", ["pickle", "torch", "noise", "list", "numbered", "numbers", "sparse", "cut"]
)
def test_pytorch_files_run_no_code_and_damage_is_named(tmp_path, kind):
    torch = pytest.importorskip("torch")
    path, marker = tmp_path / "pytorch_model.bin", tmp_path / "executed"
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"a": Payload(str(marker))}, protocol=2))
    elif kind == "torch":
        torch.save({"a": Payload(str(marker))}, path)
    elif kind == "noise":
        path.write_bytes(RNG.bytes(1000))
    elif kind in ("list", "numbered", "numbers", "sparse"):
        zeros = torch.zeros(2)
        torch.save(
            {
                "list": [zeros],
                "numbered": {1: zeros},
                "numbers": {"a": 1},
                "sparse": {"a": zeros.to_sparse()},
            }[kind],
            path,
        )
    else:
        torch.save({"a": torch.zeros(1000)}, path)
        path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(UserError, match="pytorch_model.bin") as caught:
        read_weights(tmp_path)
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_pytorch_files_without_or_with_an_old_torch(tmp_path, monkeypatch):
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UserError, match="needs PyTorch to be read"):
        read_weights(tmp_path)
    old = type(sys)("torch")
    old.__version__ = "2.5.1+cpu"
    monkeypatch.setitem(sys.modules, "torch", old)
    with pytest.raises(UserError, match="2.6 or newer"):
        read_weights(tmp_path)


def test_safetensors_come_first(tmp_path):
    save_file({"a": np.ones(1)}, tmp_path / "model.safetensors")
    (tmp_path / "pytorch_model.bin").write_bytes(b"never read")
    assert list(read_weights(tmp_path).tensors) == ["a"]


def test_json_files(tmp_path):
    path = tmp_path / "config.json"
    with pytest.raises(UserError, match="is missing"):
        read_json(path)
    for content, message in (
        (b"", "not valid JSON"),
        (b"3", "not a JSON object"),
        (b'{"a": {"b": 1, "b": 2}}', "'b' occurs twice"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            read_json(path)
    with open(path, "wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(UserError, match="1073741824 bytes, more than"):
        read_json(path)
