import h5py
import numpy as np
import pytest

from data_pipelines.common.errors import UserError
from eval.data.graphs.vector_files import read_vector_file
from protclip_jax.embed.embedding_files import WRITERS, Part

IDS = ["DB2", "DB1", "DB9"]
VECTORS = np.arange(6, dtype=np.float32).reshape(3, 2)


def written(path):
    if path.suffix == ".npz":
        np.savez(path, ids=np.array(IDS), vectors=VECTORS)
    else:
        parts = [
            Part(IDS[:1], np.ones(1, int), VECTORS[:1]),
            Part(IDS[1:], np.ones(2, int), VECTORS[1:]),
        ]
        WRITERS[path.suffix](path, parts, facts={"checkpoint": "x"})
    return path


@pytest.mark.parametrize("suffix", [".h5", ".hdf5", ".parquet", ".npz"])
def test_ids_and_vectors_come_back_in_order(tmp_path, suffix):
    ids, vectors = read_vector_file(written(tmp_path / f"drugs{suffix}"))
    assert ids == IDS
    np.testing.assert_array_equal(vectors, VECTORS)
    assert vectors.dtype == np.float32


def test_h5_without_original_ids_names_its_datasets_by_them(tmp_path):
    with h5py.File(tmp_path / "drugs.h5", "w") as file:
        file["DB7"] = [1.0, 2.0]
    ids, vectors = read_vector_file(tmp_path / "drugs.h5")
    assert (ids, vectors.tolist()) == (["DB7"], [[1.0, 2.0]])


@pytest.mark.parametrize("suffix", [".h5", ".parquet", ".npz", ".pkl"])
def test_files_that_are_something_else_are_reported(tmp_path, suffix):
    (tmp_path / f"drugs{suffix}").write_bytes(b"neither of these")
    with pytest.raises(UserError, match=f"drugs{suffix}"):
        read_vector_file(tmp_path / f"drugs{suffix}")


@pytest.mark.parametrize(
    "arrays",
    [
        {"ids": np.array(["a", "a"]), "vectors": np.zeros((2, 3))},
        {"ids": np.array(["a", "b"]), "vectors": np.full((2, 3), np.nan)},
        {"ids": np.array(["a"]), "vectors": np.zeros((2, 3))},
        {"ids": np.array(["a"], object), "vectors": np.zeros((1, 3))},
        {"names": np.array(["a"])},
    ],
)
def test_damaged_files_are_reported(tmp_path, arrays):
    np.savez(tmp_path / "drugs.npz", **arrays)
    with pytest.raises(UserError, match="drugs.npz"):
        read_vector_file(tmp_path / "drugs.npz")
