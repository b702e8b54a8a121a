"""A dataset from a stranger: its own files neither run code nor lead out of the folder, and any
damage is one sentence."""

import json
import os
import shutil
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from data_pipelines.common.errors import UserError
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.record import Record
from tests.support.stored_records import SPLITS


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protanno")
    protanno.write(folder, SPLITS, statistics={"records": 5, "clusters": {"trembl/C0/R3": 3}})
    return folder


@pytest.fixture
def copied(sound, tmp_path):
    return shutil.copytree(sound, tmp_path / "dataset")


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_features_name_no_module_to_import(copied, tmp_path, monkeypatch):
    """TFDS imports the module of a feature's class; here a module that would tell."""
    (tmp_path / "payload.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    edit(
        copied / "features.json",
        lambda features: features.update(pythonClassName="payload.Feature"),
    )
    edit(
        copied / "dataset_info.json",
        lambda info: info.update(features={"pythonClassName": "payload.Feature"}),
    )
    assert len(protanno.open_dataset(copied).splits["trembl_c0_r3"]) == 3
    assert "payload" not in sys.modules


def first(**changes):
    return lambda info: info["splits"][0].update(changes)


INFOS = {
    "a name that is a path": (first(name="../../secret"), "dataset_info.json is damaged: .*splits"),
    "no name": (first(name=None), "dataset_info.json is damaged: .*splits"),
    "a list": (first(name=["a"]), "dataset_info.json is damaged: .*splits"),
    "negative": (first(shardLengths=["-1"]), "dataset_info.json is damaged: .*splits"),
    "enormous": (first(shardLengths=["9" * 4000]), "dataset_info.json is damaged: .*splits"),
    "a number": (first(shardLengths=[3]), "dataset_info.json is damaged: .*splits"),
    "no files": (first(shardLengths=[]), "dataset_info.json is damaged: .*splits"),
    "a million files": (
        first(shardLengths=["1"] * ((1 << 20) + 1)),
        "dataset_info.json is damaged: .*splits",
    ),
    "more files than there are": (first(shardLengths=["1"] * 3), "lacks"),
    "no bytes": (first(numBytes="x"), "dataset_info.json is damaged: .*splits"),
    "no splits": (lambda info: info.pop("splits"), "dataset_info.json is damaged: .*splits"),
    "another kind": (
        lambda info: info.update(splits={"a": 1}),
        "dataset_info.json is damaged: .*splits",
    ),
}


@pytest.mark.parametrize("kind", INFOS)
def test_splits_that_are_none(copied, kind):
    change, message = INFOS[kind]
    edit(copied / "dataset_info.json", change)
    with pytest.raises(UserError, match=message):
        protanno.open_dataset(copied)


def test_a_template_for_the_names_of_files_is_not_used(copied):
    edit(copied / "dataset_info.json", first(filepathTemplate="/etc/{SPLIT:>99999999999}"))
    assert len(protanno.open_dataset(copied).splits["trembl_c0_r3"]) == 3


@pytest.mark.parametrize("clusters", [["trembl/C0/R3"], {"../x": 1}, {"trembl/C9/R9": 1}, "x"])
def test_clusters_of_unknown_names(copied, clusters):
    edit(copied / "statistics.json", lambda statistics: statistics.update(clusters=clusters))
    with pytest.raises(UserError, match="statistics.json is damaged: .*records or clusters"):
        protanno.open_dataset(copied)


@pytest.mark.parametrize("name", ["statistics.json", "dataset_info.json", "shard_sizes.json"])
def test_metadata_that_are_large_deep_or_no_file(copied, name):
    for content in (b"{" * 100_000, b"[" * 100_000, b"\xff"):
        (copied / name).write_bytes(content)
        with pytest.raises(UserError, match="not a ProtAnno dataset"):
            protanno.open_dataset(copied)
    os.truncate(copied / name, 1 << 30)
    with pytest.raises(UserError, match="1073741824 bytes"):
        protanno.open_dataset(copied)
    (copied / name).unlink()
    os.mkfifo(copied / name)
    with pytest.raises(UserError, match=f"{name} is missing"):
        protanno.open_dataset(copied)


def test_files_that_are_links_are_read(copied, tmp_path):
    for index, path in enumerate(list(copied.iterdir())):
        path.rename(tmp_path / str(index))
        path.symlink_to(tmp_path / str(index))
    dataset = protanno.open_dataset(copied)
    filled = {name: records for name, records in SPLITS.items() if records}
    assert {name: list(split) for name, split in dataset.splits.items()} == filled


def decoded(data: bytes) -> Record | str:
    """The record that a split makes of some bytes, or the sentence that refuses them."""
    try:
        return protanno.Split([data])[0]
    except UserError as error:
        return str(error)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(noise=st.binary(max_size=30), position=st.integers(0, 200), cut=st.integers(0, 50))
def test_any_bytes_for_a_record_are_one_or_refused(noise, position, cut):
    sound = protanno.encode_record(SPLITS["validation"][0])
    for data in (noise, sound[:position] + noise + sound[position + cut :]):
        found = decoded(data)
        assert isinstance(found, Record) or found.startswith("record 0 of the dataset is malformed")


def test_a_record_without_fields_is_refused():
    assert "malformed" in decoded(b"")
