"""Reads embeddings by id: HDF5 and Parquet as `protclip_jax.embed` writes them, or NPZ."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow.parquet
from jaxtyping import Float32

from data_pipelines.common.errors import UserError
from eval.data.base.arrays import read_arrays
from protclip_jax.embed.foreign_files import check_parquet, h5_items


class NamedVectors(NamedTuple):
    """The embeddings of a file, in its order."""

    ids: list[str]
    keys: list[str]
    """For HDF5 the names of the datasets; elsewhere the ids again."""
    values: Float32[np.ndarray, "n D"]


def read_vector_file(path: Path) -> tuple[list[str], Float32[np.ndarray, "n D"]]:
    """Reads ids and embeddings in the order of the file; see `read_named_vectors`."""
    vectors = read_named_vectors(path)
    return vectors.ids, vectors.values


def read_named_vectors(path: Path) -> NamedVectors:
    """Reads ids and embeddings in the order of the file.

    `.h5`: one dataset [D] per vector; the id is its attribute `original_id`, or else its name.
    `.parquet`: columns `id` and `embedding`, lists of equal length, without dictionaries. `.npz`,
    without pickles: arrays `ids` (text [n]) and `vectors` (numbers [n, D]).

    Raises:
      UserError: the file has another form, repeats an id, has per-residue vectors, or a number is
      not finite.
    """
    if path.suffix not in READERS:
        raise UserError(
            f"{path} must be one of {', '.join(READERS)}; write the embeddings to such a file."
        )
    try:
        vectors = READERS[path.suffix](path)
    except UserError:
        raise
    # HDF5 and Arrow fail in many ways on files from untrusted sources.
    except Exception as error:
        message = f"{type(error).__name__}: {error}"[:200]
        raise UserError(
            f"{path} does not hold embeddings as {path.suffix} files should ({message}); see "
            "docs/benchmarks.md for the layout."
        ) from error
    ids, values = vectors.ids, vectors.values
    if values.ndim != 2 or len(set(ids)) < len(ids) or not np.isfinite(values).all():
        raise UserError(
            f"{path} repeats an id, or has a vector that is not finite or of another width; "
            "correct the file."
        )
    return vectors


def _read_h5(path: Path) -> NamedVectors:
    with h5py.File(path) as file:
        items = [(dataset.name.strip("/"), id, dataset[()]) for id, dataset in h5_items(file)]
    keys = [key for key, _, _ in items]
    ids = [id for _, id, _ in items]
    return NamedVectors(ids, keys, np.array([vector for _, _, vector in items], np.float32))


def _read_parquet(path: Path) -> NamedVectors:
    with pyarrow.parquet.ParquetFile(path) as file:
        check_parquet(file, path=path)
        columns = file.read(columns=["id", "embedding"])
    ids = columns["id"].to_pylist()
    return NamedVectors(ids, ids, np.array(columns["embedding"].to_pylist(), np.float32))


def _read_npz(path: Path) -> NamedVectors:
    ids, vectors = read_arrays(path, ["ids", "vectors"])
    numeric = vectors.ndim == 2 and vectors.dtype.kind in "iuf"
    if ids.ndim != 1 or ids.dtype.kind != "U" or not numeric or len(ids) != len(vectors):
        raise UserError(
            f"{path}: expected ids as text [n] and vectors as numbers [n, d], got {ids.dtype} "
            f"{ids.shape} and {vectors.dtype} {vectors.shape}."
        )
    return NamedVectors(ids.tolist(), ids.tolist(), vectors.astype(np.float32))


READERS: dict[str, Callable[[Path], NamedVectors]] = {
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
"""Readers by file suffix."""
