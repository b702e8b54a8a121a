import dataclasses
import json
import multiprocessing
import pickle
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from data_pipelines.common.errors import UserError
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.record import NAMES, Feature, Record, with_names
from tests.support.stored_records import SPLITS, record


@pytest.fixture
def dataset_folder(tmp_path):
    # The place where tfds.data_source looks for a dataset by name.
    folder = tmp_path / "protanno" / protanno.VERSION
    folder.mkdir(parents=True)
    protanno.write(folder, SPLITS, statistics={"records": 5})
    return folder


def test_records_survive_in_order(dataset_folder):
    dataset = protanno.open_dataset(dataset_folder)
    assert dataset.statistics == {"records": 5}
    filled = {name: records for name, records in SPLITS.items() if records}
    assert {name: list(split) for name, split in dataset.splits.items()} == filled
    split = dataset.splits["trembl_c0_r3"]
    assert (len(split), split[-1], split[np.int64(1)]) == (3, record(1), record(2))
    with pytest.raises(IndexError):
        split[3]
    assert [r.features for r in split.without_features()] == [(), (), ()]
    accessions = [r.accession for r in split]
    assert [r.accession for r in split.without_features()] == accessions
    assert dataset.train_size("trembl/C0/R3") == 3
    assert dataset.train_size("trembl/C9/R9") == 0


def test_shards_are_one_sequence(tmp_path, monkeypatch):
    monkeypatch.setattr(protanno, "SHARD_RECORDS", 3)
    records = [record(index) for index in range(10)]
    protanno.write(tmp_path, {"train": records}, statistics={})
    assert len(list(tmp_path.glob("*array_record*"))) == 4
    assert list(protanno.open_dataset(tmp_path).splits["train"]) == records


@pytest.mark.parametrize(
    ("records", "size", "lengths"),
    [
        (1, 1, [1]),
        (10, 100, [10]),
        (11, 1, [5, 6]),
        (30, 1, [10, 10, 10]),
        (10, 101, [5, 5]),
        (7, 290, [2, 2, 3]),
    ],
)
def test_shards_are_bounded_in_records_and_bytes(monkeypatch, records, size, lengths):
    monkeypatch.setattr(protanno, "SHARD_RECORDS", 10)
    monkeypatch.setattr(protanno, "SHARD_BYTES", 100)
    assert protanno.plan_shards(records, size) == (lengths, size)


def test_a_file_that_cannot_be_written_is_an_os_error(tmp_path):
    with pytest.raises(OSError, match="part-0: .*No such file"):
        protanno.write_shard(tmp_path / "nowhere" / "part-0", [b"x"])


@pytest.mark.parametrize("by_name", [False, True])
def test_tfds_reads_the_same_from_the_files(dataset_folder, by_name):
    if by_name:
        sources = tfds.data_source("protanno", data_dir=dataset_folder.parents[1], download=False)
    else:
        sources = tfds.builder_from_directory(dataset_folder).as_data_source()
    assert set(sources) == {"trembl_c0_r3", "swissprot_c1_r4", "validation"}
    for name, source in sources.items():
        assert len(source) == len(SPLITS[name])
        for example, expected in zip(source, SPLITS[name], strict=True):
            features = example.pop("features")
            for field in ("other_names", "genes", "go"):
                assert tuple(name.decode() for name in example.pop(field)) == getattr(
                    expected, field
                )
            names = ("type", "start", "end", "note")
            columns = zip(*(features[name] for name in names), strict=True)
            found = [
                Feature(type_.decode(), start, end, note.decode())
                for type_, start, end, note in columns
            ]
            assert found == list(expected.features)
            for field, value in example.items():
                assert (value.decode() if isinstance(value, bytes) else value) == getattr(
                    expected, field
                )
            assert set(example) | {"features", "other_names", "genes", "go"} == set(
                Record.__dataclass_fields__
            )


def test_the_examples_are_those_that_tfds_writes():
    for expected in SPLITS["trembl_c0_r3"]:
        fields = {name: getattr(expected, name) for name in Record.__dataclass_fields__}
        names = Feature.__dataclass_fields__
        fields["features"] = []
        for feature in expected.features:
            fields["features"].append({name: getattr(feature, name) for name in names})
        data = protanno.tfds_features().serialize_example(fields)
        assert protanno.decode_record(data) == expected
        message = protanno.tf_example_pb2.Example.FromString
        assert message(data) == message(protanno.encode_record(expected))


def test_records_have_the_names_that_are_asked_for(dataset_folder):
    for names in NAMES:
        split = protanno.open_dataset(dataset_folder, names=names).splits["trembl_c0_r3"]
        expected = [with_names(one, names) for one in SPLITS["trembl_c0_r3"]]
        assert list(split) == list(pickle.loads(pickle.dumps(split))) == expected
        wanted = [one.name for one in expected]
        assert [one.name for one in split.without_features()] == wanted
    assert expected[1].name == "α-amylase {ECO:0000305} (AMY)"


@pytest.fixture
def old_folder(tmp_path, monkeypatch):
    """A dataset as version 1.0.0 wrote it, which had no other names."""
    encode, features = protanno.encode_record, protanno.tfds_features()

    def encode_old(one):
        example = protanno.tf_example_pb2.Example.FromString(encode(one))
        del example.features.feature["other_names"]
        return example.SerializeToString(deterministic=True)

    kept = {name: feature for name, feature in features.items() if name != "other_names"}
    with monkeypatch.context() as patch:
        patch.setattr(protanno, "VERSION", "1.0.0")
        patch.setattr(protanno, "encode_record", encode_old)
        patch.setattr(protanno, "tfds_features", lambda: tfds.features.FeaturesDict(kept))
        protanno.write(tmp_path, SPLITS, statistics={})
    return tmp_path


def test_a_dataset_without_other_names_opens(old_folder):
    assert "other_names" not in (old_folder / "features.json").read_text()
    split = protanno.open_dataset(old_folder).splits["trembl_c0_r3"]
    assert list(split) == [
        dataclasses.replace(one, other_names=()) for one in SPLITS["trembl_c0_r3"]
    ]


def test_a_dataset_of_before_organisms_opens_without_them(tmp_path, monkeypatch):
    fields = ("organism", "taxon", "genes", "go")
    known = dataclasses.replace(
        SPLITS["trembl_c0_r3"][0],
        organism="Mus musculus",
        taxon=10090,
        genes=("A", "b"),
        go=("GO:1",),
    )
    assert protanno.decode_record(encoded := protanno.encode_record(known)) == known
    example = protanno.tf_example_pb2.Example.FromString(encoded)
    for name in fields:
        del example.features.feature[name]
    old = protanno.decode_record(example.SerializeToString())
    assert old == dataclasses.replace(known, organism="", taxon=0, genes=(), go=())


@pytest.mark.parametrize("names", ["all", "all_but_ec"])
def test_a_dataset_without_other_names_is_refused_where_they_are_needed(old_folder, names):
    message = f"recommended names .*tokenizer.names={names} .*data_pipelines.build"
    with pytest.raises(UserError, match=message):
        protanno.open_dataset(old_folder, names=names)


def first_accession(split):
    return split[0].accession


def test_a_split_that_was_read_goes_to_other_processes(dataset_folder):
    split = protanno.open_dataset(dataset_folder).splits["validation"]
    assert split[0] == record(5)
    assert pickle.loads(pickle.dumps(split))[0] == record(5)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(first_accession, (split.without_features(),)) == "P00005"


def test_mistakes_are_one_sentence(dataset_folder, tmp_path):
    with pytest.raises(UserError, match="does not exist; .*data_pipelines.build"):
        protanno.open_dataset(tmp_path / "nowhere")
    with pytest.raises(UserError, match="not a ProtAnno dataset"):
        protanno.open_dataset(tmp_path)
    dataset = protanno.open_dataset(str(dataset_folder))
    with pytest.raises(UserError, match="no records in split test, only in .*validation"):
        dataset.splits["test"]
    (dataset_folder / "dataset_info.json").write_text("{")
    with pytest.raises(UserError, match="not a ProtAnno dataset"):
        protanno.open_dataset(dataset_folder)
    (dataset_folder / "dataset_info.json").unlink()
    with pytest.raises(UserError, match="not a ProtAnno dataset"):
        protanno.open_dataset(dataset_folder)


def cut_one_byte(path):
    path.write_bytes(path.read_bytes()[:-1])


def cut_to_a_block(path):
    path.write_bytes(path.read_bytes()[: 1 << 16])


def add_a_block(path):
    path.write_bytes(path.read_bytes() + bytes(1 << 16))


def empty(path):
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_one_byte, cut_to_a_block, add_a_block, empty])
def test_a_file_of_another_size_is_found_at_opening(dataset_folder, damage):
    chosen = next(dataset_folder.glob("*trembl_c0_r3*"))
    written = chosen.stat().st_size
    damage(chosen)
    with pytest.raises(
        UserError,
        match=rf"{chosen} has {chosen.stat().st_size} bytes, .*{written}; copy it again",
    ):
        protanno.open_dataset(dataset_folder)


def test_a_missing_file_is_found_at_opening(dataset_folder):
    chosen = next(dataset_folder.glob("*validation*"))
    chosen.unlink()
    with pytest.raises(
        UserError, match=rf"lacks {chosen} \(No such file or directory\); copy it again"
    ):
        protanno.open_dataset(dataset_folder)


def test_a_dataset_without_its_sizes_is_none(dataset_folder):
    (dataset_folder / "shard_sizes.json").unlink()
    with pytest.raises(UserError, match="not a ProtAnno dataset .*shard_sizes"):
        protanno.open_dataset(dataset_folder)


def error_of(split, index):
    try:
        split[index]
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("rounds", [150, pytest.param(10_000, marks=pytest.mark.soak)])
def test_a_damaged_record_is_reported_and_never_read(tmp_path, rounds):
    records = [record(index) for index in range(40)]
    protanno.write(tmp_path, {"train": records}, statistics={})
    (path,) = tmp_path.glob("*array_record*")
    intact, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    # Most of the last blocks is padding.
    used = len(intact.rstrip(b"\0"))
    for _ in range(rounds):
        damaged, start = bytearray(intact), rng.integers(used)
        if rng.integers(2):
            damaged[start] ^= 1 << rng.integers(8)
        else:
            damaged[start : start + 512] = bytes(len(damaged[start : start + 512]))
        path.write_bytes(damaged)
        split = protanno.open_dataset(tmp_path).splits["train"]
        for index in rng.permutation(len(records)):
            if sentence := error_of(split, index):
                assert f"the dataset's file {path} is damaged" in sentence
                assert "\n" not in sentence
                refused += 1
            else:
                assert split[index] == records[index]
    assert refused > rounds / 4


def test_the_damaged_one_of_several_files_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(protanno, "SHARD_RECORDS", 3)
    records = [record(index) for index in range(10)]
    protanno.write(tmp_path, {"train": records}, statistics={})
    split = protanno.open_dataset(tmp_path).splits["train"]
    paths = sorted(tmp_path.glob("*array_record*"))
    paths[2].unlink()
    files = []
    for index in range(10):
        message = error_of(split, index)
        files.append(next((path.name for path in paths if path.name in message), None))
    assert files == [None] * 5 + [paths[2].name] * 2 + [None] * 3


def test_the_fingerprint_is_that_of_the_contents(dataset_folder, tmp_path):
    fingerprint = protanno.open_dataset(dataset_folder).fingerprint
    shutil.copytree(dataset_folder, tmp_path / "copy")
    assert protanno.open_dataset(tmp_path / "copy").fingerprint == fingerprint
    others = {
        "a_longer_record": ({**SPLITS, "validation": [record(6)]}, {"records": 5}),
        "a_record_elsewhere": ({**SPLITS, "validation": [], "test": [record(5)]}, {"records": 5}),
        "other_statistics": (SPLITS, {"records": 5, "provenance": "of another release"}),
    }
    for name, (splits, statistics) in others.items():
        (tmp_path / name).mkdir()
        protanno.write(tmp_path / name, splits, statistics=statistics)
        assert protanno.open_dataset(tmp_path / name).fingerprint != fingerprint


def test_neither_reading_nor_writing_needs_tensorflow(tmp_path):
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from data_pipelines.protanno import dataset as protanno\n"
        "from data_pipelines.protanno.record import Record\n"
        f"record = Record(*{('P1', 'A', 'trembl', 'MK', 1, 'x')!r})\n"
        f"protanno.write(Path({str(tmp_path)!r}), {{'train': [record]}}, statistics={{}})\n"
        f"assert protanno.open_dataset({str(tmp_path)!r}).splits['train'][0] == record\n"
        "assert not {'tensorflow', 'jax', 'flax', 'grain', 'torch'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
    info = json.loads((tmp_path / "dataset_info.json").read_text())
    assert info["fileFormat"] == "array_record"
    assert str(tmp_path) not in (tmp_path / "dataset_info.json").read_text()
