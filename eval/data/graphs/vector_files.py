"""Embeddings by id from files that others made: HDF5 and Parquet as `protclip_jax.embed` writes them, or NPZ."""

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet
from jaxtyping import Float32

from data_pipelines.common.errors import UserError
from eval.data.base.arrays import read_arrays
from protclip_jax.embed.foreign_files import check_parquet, h5_items


def read_vector_file(path: Path) -> tuple[list[str], Float32[np.ndarray, "n D"]]:
    """Ids and their embeddings, in the order of the file.

    `.h5`: a dataset [D] each, its id in the attribute `original_id` or else its name. `.parquet`: columns `id` and
    `embedding`, lists of one length, without dictionaries. `.npz`, without pickles: arrays `ids` (text [n]) and `vectors`
    (numbers [n, D]).

    Raises:
      UserError: the file is no such file, names an id twice, or a number is not finite.
    """
    if path.suffix not in READERS:
        raise UserError(f"{path} is none of {', '.join(READERS)}; write the embeddings to such a file.")
    try:
        ids, vectors = READERS[path.suffix](path)
    except UserError:
        raise
    # Two libraries that read files from anybody have many ways to fail.
    except Exception as error:
        message = f"{type(error).__name__}: {error}"[:200]
        raise UserError(f"{path} holds no embeddings as {path.suffix} files do ({message}); make such a file.") from error
    if vectors.ndim != 2 or len(set(ids)) < len(ids) or not np.isfinite(vectors).all():
        raise UserError(f"{path} gives an id twice, or a vector that is not finite or of another width; mend the file.")
    return ids, vectors


def _read_h5(path: Path) -> tuple[list[str], np.ndarray]:
    with h5py.File(path) as file:
        items = [(id, dataset[()]) for id, dataset in h5_items(file)]
    return [id for id, _ in items], np.array([vector for _, vector in items], np.float32)


def _read_parquet(path: Path) -> tuple[list[str], np.ndarray]:
    with pyarrow.parquet.ParquetFile(path) as file:
        check_parquet(file, path=path)
        columns = file.read(columns=["id", "embedding"])
    return columns["id"].to_pylist(), np.array(columns["embedding"].to_pylist(), np.float32)


def _read_npz(path: Path) -> tuple[list[str], np.ndarray]:
    ids, vectors = read_arrays(path, ["ids", "vectors"])
    numeric = vectors.ndim == 2 and vectors.dtype.kind in "iuf"
    if ids.ndim != 1 or ids.dtype.kind != "U" or not numeric or len(ids) != len(vectors):
        raise UserError(f"{path}: ids is {ids.dtype} {ids.shape} and vectors {vectors.shape}; they need text [n] and [n, d].")
    return ids.tolist(), vectors.astype(np.float32)


READERS: dict[str, Callable[[Path], tuple[list[str], np.ndarray]]] = {
    ".h5": _read_h5,
    ".hdf5": _read_h5,
    ".parquet": _read_parquet,
    ".npz": _read_npz,
}
"""By the suffix of the file."""
