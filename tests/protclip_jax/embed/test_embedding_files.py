"""Embedding files: parts, HDF5 and Parquet, ids of every kind, and disks that fill at any byte."""

import io
import resource
from contextlib import contextmanager, suppress

import h5py
import numpy as np
import pyarrow.parquet
import pytest

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.embed import embedding_files
from protclip_jax.embed.embedding_files import WRITERS, Part, load_part, save_part, write_h5
from protclip_jax.embed.h5_keys import H5_KEYS
from tests.support.fake_embedder import content

IDS = ["a", "sp|P1|X_Y", "é\t\n'\"/..", "long" * 50000]
RNG = np.random.default_rng(0)
POOLED = RNG.normal(size=(4, 3)).astype(np.float32)
RESIDUES = [RNG.normal(size=(length, 3)).astype(np.float16) for length in (1, 5, 2, 4)]


@contextmanager
def room(size):
    """No file of this process may grow beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_part_is_read_as_it_was_saved(tmp_path):
    path = tmp_path / "part.npz"
    embeddings = {"mean": POOLED, "residues": RESIDUES}
    save_part(
        path, ids=IDS, lengths=[1, 5, 2, 4], embeddings=embeddings, hashes=["w", "x", "y", "z"]
    )
    mean, residues = load_part(path, "mean"), load_part(path, "residues")
    assert mean.hashes == ["w", "x", "y", "z"]
    assert (mean.ids, mean.lengths.tolist(), mean.vectors.dtype) == (IDS, [1, 5, 2, 4], np.float32)
    np.testing.assert_array_equal(mean.vectors, POOLED)
    for rows, saved in zip(residues.vectors, RESIDUES, strict=True):
        assert (rows.shape, rows.dtype) == (saved.shape, saved.dtype)
    np.testing.assert_array_equal(np.concatenate(residues.vectors), np.concatenate(RESIDUES))
    assert [file.name for file in tmp_path.iterdir()] == ["part.npz"]


@pytest.mark.parametrize(
    "change", [lambda data: data[:-30], lambda data: data.replace(b"mean", b"bean"), lambda _: b""]
)
def test_a_damaged_part_is_one_sentence(tmp_path, change):
    path = tmp_path / "part.npz"
    save_part(path, ids=["a"], lengths=[1], embeddings={"mean": POOLED[:1]})
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(UserError, match="part.npz is damaged"):
        load_part(path, "mean")


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("vectors", [POOLED, RESIDUES], ids=["pooled", "residues"])
def test_files_hold_ids_vectors_and_facts(tmp_path, suffix, vectors):
    path = tmp_path / f"x{suffix}"
    parts = [Part(IDS[:3], np.arange(3), vectors[:3]), Part(IDS[3:], np.array([3]), vectors[3:])]
    WRITERS[suffix](path, parts, facts={"kind": "mean", "overlap": 5})
    facts, rows = content(path)
    assert (facts["kind"], int(facts["overlap"])) == ("mean", 5)
    assert [name for name, _, _ in rows] == IDS
    for (_, _, stored), expected in zip(rows, vectors, strict=True):
        np.testing.assert_array_equal(np.ravel(stored).astype(expected.dtype), expected.ravel())


def test_items_of_an_hdf5_file_come_back_in_their_order(tmp_path):
    ids = [f"p{index}" for index in range(25)]
    WRITERS[".h5"](tmp_path / "x.h5", [Part(ids, np.zeros(25), np.zeros((25, 1)))], facts={})
    assert [name for name, _, _ in content(tmp_path / "x.h5")[1]] == ids


def test_parquet_says_how_many_residues_were_read(tmp_path):
    path = tmp_path / "x.parquet"
    # The first protein of 9 residues was cut to 2.
    parts = [
        Part(["cut"], np.array([9]), RESIDUES[2:3]),
        Part(["whole"], np.array([5]), RESIDUES[1:2]),
    ]
    WRITERS[".parquet"](path, parts, facts={"kind": "residues"})
    table = pyarrow.parquet.read_table(path).to_pylist()
    restored = [np.reshape(row["embedding"], (row["rows"], -1)) for row in table]
    assert [(row["id"], row["length"], row["rows"]) for row in table] == [
        ("cut", 9, 2),
        ("whole", 5, 5),
    ]
    for rows, expected in zip(restored, (RESIDUES[2], RESIDUES[1]), strict=True):
        np.testing.assert_array_equal(rows.astype(expected.dtype), expected)


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ("order", ["000000000", "000000001", "000000002", "000000003", "000000004"]),
        ("id", ["sp|P62258|X_Y", "lab_7.2", "lab_7.2_2", "_", "P62258"]),
        ("accession", ["P62258", "lab_7.2", "lab_7.2_2", "_", "P62258_2"]),
        ("hash", ["aa", "bb", "aa_2", "cc", "aa_3"]),
    ],
)
def test_the_datasets_of_hdf5_are_named_as_asked_and_none_is_lost(tmp_path, keys, expected):
    ids = ["sp|P62258|X_Y", "lab/7.2", "lab_7.2", ".", "P62258"]
    vectors = RNG.normal(size=(5, 3)).astype(np.float32)
    hashes = ["aa", "bb", "aa", "cc", "aa"]
    parts = [
        Part(ids[:2], np.zeros(2), vectors[:2], hashes[:2]),
        Part(ids[2:], np.zeros(3), vectors[2:], hashes[2:]),
    ]
    write_h5(tmp_path / "x.h5", parts, facts={"kind": "mean"}, keys=keys)
    with h5py.File(tmp_path / "x.h5") as file:
        assert (len(file), file.attrs["keys"]) == (5, keys)
        for key, id, vector in zip(expected, ids, vectors, strict=True):
            assert file[key].attrs["original_id"] == id
            np.testing.assert_array_equal(file[key], vector)


@pytest.mark.parametrize("keys", H5_KEYS)
def test_any_id_can_be_in_hdf5(tmp_path, keys):
    part = Part(IDS, np.zeros(4), POOLED, ["a", "b", "c", "d"])
    write_h5(tmp_path / "x.h5", [part], facts={}, keys=keys)
    assert sorted(name for name, _, _ in content(tmp_path / "x.h5")[1]) == sorted(IDS)


@pytest.mark.parametrize("suffix", [".h5", ".parquet"])
def test_a_disk_that_is_full_at_any_byte_is_seen(tmp_path, suffix, monkeypatch):
    # A full disk, unlike this limit, lets a file be lengthened without content.
    def truncate(self, size=None):
        with suppress(OSError):
            io.FileIO.truncate(self, size)
        return size

    monkeypatch.setattr(embedding_files._Quiet, "truncate", truncate)
    part = Part(IDS[:2], np.zeros(2), POOLED[:2])
    path = tmp_path / f"x{suffix}"

    def write():
        with report_disk_errors(path), atomic_path(path) as partial:
            WRITERS[suffix](partial, [part], facts={"kind": "mean"})

    write()
    size = path.stat().st_size
    path.unlink()
    for limit in [*range(0, size, 61), size - 1]:
        with room(limit), pytest.raises(RunError, match=r"cannot be written \(File too large\)"):
            write()
        assert not path.exists()
    with room(size):
        write()
    assert len(content(path)[1]) == 2
