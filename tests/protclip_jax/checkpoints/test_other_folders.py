"""Paths that somebody gives for a checkpoint: one sentence that says what they are and what to
do."""

import json
import pathlib
import re
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from protclip_jax.checkpoints import best, metadata
from protclip_jax.checkpoints.parameters import load_params, save_params
from protclip_jax.checkpoints.workdir import lock
from tests.support import hostile_checkpoint


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return hostile_checkpoint.make(tmp_path_factory.mktemp("sound"))


@pytest.fixture
def given(sound, tmp_path):
    """Some folders and files, among them a checkpoint of the name `run`."""
    shutil.copytree(sound, tmp_path / "run")
    configs = {
        "esm": {"model_type": "esm"},
        "bert": {"model_type": "bert"},
        "t5": {"model_type": "t5"},
        "unnamed": {"architectures": ["EsmModel"]},
        "released": {"protein_model_config": {}},
        "config": {"a": 1},
    }
    for name, config in configs.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(json.dumps(config))
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").write_text("{}")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    return tmp_path


TOLD = {
    "esm": r"/esm is a Hugging Face folder; run `python -m protclip_jax\.convert hf --protein "
    r"\S+/esm --output DIR`",
    "bert": r"/bert is a Hugging Face folder; run `python -m protclip_jax\.convert hf --text "
    r"\S+/bert --output DIR`",
    "t5": "/t5 is a Hugging Face folder of another model than ESM-2 or BERT",
    "unnamed": "/unnamed is a Hugging Face folder of another model than ESM-2 or BERT",
    "released": r"is a released ProtCLIP; run `python -m protclip_jax\.convert protclip --source "
    r"\S+/released --output DIR`",
    "config": "config.json is not that of a checkpoint, which has format_version and config",
    "adapter": "holds adapters alone; merge them into their model",
    "empty": "lacks config.json and checkpoints/; give the folder of",
    "file": "/file is a file; give the folder of",
    "nowhere": "/nowhere does not exist; give the folder of",
    "run/checkpoints": r"is a part of the checkpoint \S+/run; give that folder\.$",
    "run/checkpoints/0": r"is a part of the checkpoint \S+/run; give that folder, and its step with --step 0\.$",
    "run/checkpoints/0/params": r"is a part of the checkpoint \S+/run; give that folder, and its step with --step 0\.$",
    "run/checkpoints/007": r"is a part of the checkpoint \S+/run; give that folder, and its step with --step 7\.$",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_no_checkpoint_is_said_to_be_what_it_is(given, name):
    (given / "run" / "checkpoints" / "007").mkdir()
    for read in (metadata.read_config, best.resolve_step):
        with pytest.raises(UserError, match=TOLD[name]) as refused:
            read(given / name)
        assert "damaged" not in str(refused.value)


def test_a_part_is_known_from_within_the_checkpoint(given, monkeypatch):
    monkeypatch.chdir(given / "run" / "checkpoints")
    with pytest.raises(UserError, match=r"/run; give that folder, and its step with --step 0\.$"):
        metadata.read_config(pathlib.Path("0"))


def load(folder):
    return load_params(folder, 0, jax.eval_shape(hostile_checkpoint.params))


@pytest.mark.parametrize("name", ["back\\slash", "\udcff\udcfe"])
def test_paths_that_the_storage_library_misreads_are_refused(sound, tmp_path, name):
    """It writes `back\\slash` into another folder, without an error."""
    folder = shutil.copytree(sound, tmp_path / name)
    message = (
        "has a backslash, which TensorStore takes for a slash" if "\\" in name else "is not UTF-8"
    )
    before = sorted(tmp_path.rglob("*"))
    refused = (
        lambda: load(folder),
        lambda: save_params(folder, {"protein": {"x": np.zeros(3)}}, step=1),
        lambda: lock(folder),
    )
    for use in refused:
        with pytest.raises(UserError, match=message) as error:
            use()
        assert "damaged" not in str(error.value)
    assert sorted(tmp_path.rglob("*")) == before
    (tmp_path / "link").symlink_to(folder)
    jax.tree.map(
        np.testing.assert_array_equal, load(tmp_path / "link"), hostile_checkpoint.params()
    )


@pytest.mark.parametrize(
    "name", ["a::b", "run", "two words", "per%20cent", "h#x?y", "br[a]*", "u\u0308"]
)
def test_other_paths_are_read(sound, tmp_path, monkeypatch, name):
    shutil.copytree(sound, tmp_path / name)
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path / "sub")
    jax.tree.map(
        np.testing.assert_array_equal, load(pathlib.Path("..") / name), hostile_checkpoint.params()
    )


def test_all_parameters_that_differ_are_named_at_once(sound):
    wanted = jax.eval_shape(hostile_checkpoint.params)
    wanted["logit_scale"] = {
        "log": jax.ShapeDtypeStruct((2,), np.float32),
        "more": jax.ShapeDtypeStruct((), np.float32),
    }
    del wanted["bsr_head"]["input"]["bias"]
    message = (
        "3 parameters differ: logit_scale/log is () in the checkpoint, but should be (2,); "
        "logit_scale/more is missing in the checkpoint, "
        "but should be (); bsr_head/input/bias is in the checkpoint, but this model has no such "
        "parameter."
    )
    with pytest.raises(UserError, match=re.escape(message)):
        load_params(sound, 0, wanted)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_parameters_that_are_not_finite_are_refused(tmp_path, value):
    params = {
        "protein": {"a": jnp.zeros(3), "b": jnp.array([0.0, value])},
        "text": {"c": jnp.ones(2)},
    }
    save_params(tmp_path, params, step=4)
    abstract = jax.eval_shape(lambda: params)
    with pytest.raises(
        UserError,
        match=r"/4: the parameter protein/b holds NaN or infinity, .*; use other weights\.$",
    ):
        load_params(tmp_path, 4, abstract)
    load_params(tmp_path, 4, {"text": abstract["text"]})
    save_params(tmp_path, {"protein": {"a": jnp.zeros(3)}}, step=2)
    with pytest.raises(UserError, match=r"use another step \(it has 2\)\.$"):
        load_params(tmp_path, 4, abstract)
