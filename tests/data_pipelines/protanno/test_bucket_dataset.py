"""A dataset in a bucket, against an emulator: the same records as in a folder, each file copied
once."""

import pytest

import protclip_train as train
from data_pipelines.common.errors import RunError, UserError
from data_pipelines.protanno.clusters import split_name
from data_pipelines.protanno.dataset import open_dataset
from tests.support.training_runs import arguments

URL, OBJECTS = "gs://bucket/data/protanno", "bucket/data/protanno/"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PROTCLIP_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def uploaded(gcs, cache, sample_dataset):
    for path in (sample_dataset / "protanno").iterdir():
        if path.is_file():
            gcs.put(f"{OBJECTS}{path.name}", path.read_bytes())
    return gcs


def shards(cache):
    return sorted(
        path.name for path in cache.rglob("*array_record*") if not path.name.endswith(".lock")
    )


def test_records_are_those_of_the_folder_and_are_copied_once(
    uploaded, cache, sample_dataset, capfd
):
    local, remote = open_dataset(sample_dataset / "protanno"), open_dataset(URL)
    assert (remote.fingerprint, remote.statistics, remote.questions) == (
        local.fingerprint,
        local.statistics,
        local.questions,
    )
    assert shards(cache) == []
    assert list(remote.splits["test"]) == list(local.splits["test"])
    assert {name.split("-")[1].split(".")[0] for name in shards(cache)} == {"test"}
    assert f"{URL} to {cache}" in capfd.readouterr().err

    uploaded.fault = lambda method, path: (
        404 if "array_record" in path and "alt=media" in path else None
    )
    assert list(open_dataset(URL).splits["test"]) == list(local.splits["test"])
    assert "copying" not in capfd.readouterr().err


def test_training_copies_what_it_draws_from_before_its_workers_start(
    uploaded, cache, sample_dataset
):
    flags = [
        flag
        for flag in arguments(sample_dataset, "unused")
        if not flag.startswith("--config.data.dir")
    ]
    config = train.parse_flags([*flags, f"--config.data.dir={URL}"]).config
    inputs = train.open_inputs(config)
    drawn = {split_name(cluster) for cluster in inputs.source.sampler.clusters}
    assert drawn
    assert drawn <= {name.split("-")[1].split(".")[0] for name in shards(cache)}


def test_a_copy_that_was_cut_off_is_made_anew(uploaded, cache, sample_dataset):
    open_dataset(URL).splits["test"].fetch()
    (path,) = [path for path in cache.rglob("*-test.*") if not path.name.endswith(".lock")]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert len(list(open_dataset(URL).splits["test"])) > 0
    assert path.read_bytes() == whole


def test_another_dataset_under_the_same_name_is_not_taken_for_the_old_one(uploaded, cache):
    open_dataset(URL)
    uploaded.put(
        f"{OBJECTS}statistics.json", uploaded.objects[f"{OBJECTS}statistics.json"].content + b" "
    )
    open_dataset(URL)
    assert len(list((cache / "datasets").iterdir())) == 2


def test_what_is_missing_cut_or_forbidden_is_one_sentence(uploaded, cache):
    with pytest.raises(
        UserError, match=r"the dataset folder gs://bucket/nothing does not exist or is empty"
    ):
        open_dataset("gs://bucket/nothing")
    (name,) = [name for name in uploaded.names(OBJECTS) if "-test." in name]
    content = uploaded.objects[name].content
    uploaded.put(name, content[:-1])
    with pytest.raises(UserError, match=rf"{name.rpartition('/')[2]} has {len(content) - 1} bytes"):
        open_dataset(URL)
    del uploaded.objects[name]
    with pytest.raises(UserError, match="is missing"):
        open_dataset(URL)
    uploaded.put(name, content)
    uploaded.fault = lambda method, path: (
        403 if "array_record" in path and "alt=media" in path else None
    )
    with pytest.raises(RunError, match="no permission"):
        open_dataset(URL).splits["test"].fetch()
    assert shards(cache) == []
