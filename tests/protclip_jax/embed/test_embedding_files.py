"""Embedding files: parts, HDF5 and Parquet, ids of every kind, and disks that fill at any byte."""

import io
import resource
from contextlib import contextmanager, suppress

import numpy as np
import pytest

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.disk_errors import report_disk_errors
from data_pipelines.common.errors import RunError, UserError
from protclip_jax.embed import embedding_files
from protclip_jax.embed.embedding_files import WRITERS, Part, load_part, save_part
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
    save_part(path, ids=IDS, lengths=[1, 5, 2, 4], embeddings={"mean": POOLED, "residues": RESIDUES})
    mean, residues = load_part(path, "mean"), load_part(path, "residues")
    assert (mean.ids, mean.lengths.tolist(), mean.vectors.dtype) == (IDS, [1, 5, 2, 4], np.float32)
    np.testing.assert_array_equal(mean.vectors, POOLED)
    assert [(rows.shape, rows.dtype) for rows in residues.vectors] == [(rows.shape, rows.dtype) for rows in RESIDUES]
    np.testing.assert_array_equal(np.concatenate(residues.vectors), np.concatenate(RESIDUES))
    assert [file.name for file in tmp_path.iterdir()] == ["part.npz"]


@pytest.mark.parametrize("change", [lambda data: data[:-30], lambda data: data.replace(b"mean", b"bean"), lambda _: b""])
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
