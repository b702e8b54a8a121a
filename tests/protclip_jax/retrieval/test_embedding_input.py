"""Embedding files of strangers: one sentence each, without reading elsewhere or taking more
memory than they are large."""

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from data_pipelines.common.errors import UserError
from eval.data.graphs.vector_files import read_vector_file
from protclip_jax.embed.embedding_files import WRITERS, Part
from protclip_jax.retrieval.embedding_input import open_embeddings

FACTS = {
    "checkpoint": "x",
    "kind": "projected",
    "modality": "protein",
    "dtype": "float32",
    "long_proteins": "windows",
}
FACTS |= {"max_residues": 1022, "overlap": 256}
VECTORS = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
HUGE = 450_000_000


def written(path, vectors=VECTORS):
    part = Part([f"p{row}" for row in range(len(vectors))], np.ones(len(vectors), int), vectors)
    WRITERS[path.suffix](path, [part], facts=FACTS)
    return path


def read(path):
    opened = open_embeddings(path)
    return opened.ids, np.concatenate([vectors for vectors, _ in opened.blocks()])


@pytest.mark.parametrize("suffix", [".h5", ".parquet"])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_embed_writes_is_read(tmp_path, suffix, dtype):
    ids, vectors = read(written(tmp_path / f"x{suffix}", VECTORS.astype(dtype)))
    assert ids == ["p0", "p1", "p2"]
    np.testing.assert_allclose(
        vectors, VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True), atol=1e-3
    )


def of_unwritten_numbers(file, folder):
    file.create_dataset("q", (HUGE,), np.float32, chunks=(1 << 20,))


def of_zeros(file, folder):
    file.create_dataset("q", data=np.zeros(60_000, np.float32), compression="gzip")


def of_a_huge_chunk(file, folder):
    file.create_dataset("q", (4,), np.float32, data=np.ones(4), chunks=(4096,), maxshape=(None,))


def in_another_file(file, folder):
    with h5py.File(folder / "private.h5", "w") as other:
        other["secret"] = VECTORS[0]
    file["q"] = h5py.ExternalLink(str(folder / "private.h5"), "/secret")


def by_a_soft_link(file, folder):
    file["q"] = h5py.SoftLink("/000000000")


def in_a_plain_file(file, folder):
    (folder / "private").write_bytes(b"sixteen letters!")
    file.create_dataset("q", (4,), np.float32, external=[(str(folder / "private"), 0, 16)])


def by_a_view(file, folder):
    with h5py.File(folder / "private.h5", "w") as other:
        other["secret"] = VECTORS[0]
    layout = h5py.VirtualLayout((4,), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "private.h5"), "secret", (4,))
    file.create_virtual_dataset("q", layout)


def in_a_folder(file, folder):
    file.create_group("q")


def of_no_shape(file, folder):
    file["q"] = h5py.Empty("f4")


def of_no_numbers(file, folder):
    file["q"] = np.zeros(0, np.float32)


def of_too_many_numbers(file, folder):
    file["q"] = np.ones((1 << 16) + 1, np.float32)


def of_whole_numbers(file, folder):
    file["q"] = np.arange(4)


def with_an_id_of_many(file, folder):
    file["q"] = VECTORS[0]
    file["q"].attrs["original_id"] = ["a"] * 100


HDF5 = [
    of_unwritten_numbers,
    of_zeros,
    of_a_huge_chunk,
    in_another_file,
    by_a_soft_link,
    in_a_plain_file,
    by_a_view,
    in_a_folder,
    of_no_shape,
    of_no_numbers,
    of_too_many_numbers,
    of_whole_numbers,
    with_an_id_of_many,
]


@pytest.mark.parametrize("item", HDF5, ids=lambda item: item.__name__)
def test_an_hdf5_file_with_an_item_like_this_is_one_sentence(tmp_path, item):
    path = written(tmp_path / "x.h5")
    with h5py.File(path, "a") as file:
        item(file, tmp_path)
    with pytest.raises(UserError, match=r"x\.h5 is not a valid embedding file \("):
        open_embeddings(path)
    with pytest.raises(UserError, match=r"x\.h5 does not hold embeddings"):
        read_vector_file(path)


def table(*, rows=3, width=4, metadata=FACTS):
    vectors = pyarrow.FixedSizeListArray.from_arrays(
        pyarrow.array(np.ones(rows * width, np.float32)), width
    )
    columns = {
        "id": [f"p{row}" for row in range(rows)],
        "length": np.ones(rows, int),
        "embedding": vectors,
    }
    return pyarrow.table(columns, metadata={name: str(value) for name, value in metadata.items()})


PARQUET = {
    "one number for all": (table(rows=20_000, width=64), {"use_dictionary": True}),
    "another compression": (table(), {"compression": "zstd", "use_dictionary": False}),
    "too many numbers": (table(rows=1, width=(1 << 16) + 1), {"use_dictionary": False}),
    "lists of any length": (
        table().set_column(2, "embedding", pyarrow.array([[1.0], [2.0], [3.0]])),
        {"use_dictionary": False},
    ),
    "whole numbers": (
        table().set_column(
            2, "embedding", pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(range(12)), 4)
        ),
        {"use_dictionary": False},
    ),
    "no embeddings": (table().drop_columns("embedding"), {"use_dictionary": False}),
    "numbers as text": (
        table().set_column(2, "embedding", pyarrow.array(["a", "b", "c"])),
        {"use_dictionary": False},
    ),
}


@pytest.mark.parametrize("name", PARQUET)
def test_a_parquet_file_like_this_is_one_sentence(tmp_path, name):
    written_table, options = PARQUET[name]
    pyarrow.parquet.write_table(written_table, tmp_path / "x.parquet", **options)
    with pytest.raises(UserError, match=r"x\.parquet is not a valid embedding file \("):
        open_embeddings(tmp_path / "x.parquet")


def test_a_parquet_file_that_repeats_a_number_is_refused_by_evaluation_too(tmp_path):
    written_table, options = PARQUET["one number for all"]
    pyarrow.parquet.write_table(written_table, tmp_path / "x.parquet", **options)
    assert (tmp_path / "x.parquet").stat().st_size < written_table.nbytes / 10
    with pytest.raises(UserError, match="encoded as"):
        read_vector_file(tmp_path / "x.parquet")
