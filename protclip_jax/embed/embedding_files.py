"""Embeddings on disk: the parts that a run leaves behind, and the HDF5 and Parquet files they are joined into."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from jaxtyping import Float, Int64

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError

Facts = Mapping[str, str | int]
"""What a file tells of itself: checkpoint, kind, policy for long proteins, …"""


class Part(NamedTuple):
    """The embeddings of n consecutive items, of one kind."""

    ids: Sequence[str]
    lengths: Int64[np.ndarray, " n"]
    """Residues of each protein, characters of each text."""
    vectors: Float[np.ndarray, "n D"] | Sequence[Float[np.ndarray, "_ D"]]
    """One vector an item, or one for each of its residues that was read."""


def save_part(path: Path, *, ids: Sequence[str], lengths: Sequence[int], embeddings: Mapping[str, np.ndarray | list]) -> None:
    """Writes all kinds of embeddings of some items as an .npz without pickle; the file is there whole or not at all.

    `embeddings` are [n, D] or lists of [L, D], as `ProtCLIP.represent` gives them, in the dtype to be stored.
    """
    arrays = {"ids": np.frombuffer(json.dumps(ids).encode(), np.uint8), "lengths": np.array(lengths, np.int64)}
    for kind, vectors in embeddings.items():
        if isinstance(vectors, list):
            arrays[f"{kind}/ends"] = np.cumsum([len(rows) for rows in vectors])
            vectors = np.concatenate(vectors)
        arrays[kind] = vectors
    with atomic_path(path, partial=path.with_name(f"{path.name}.writing")) as partial, open(partial, "wb") as file:
        np.savez(file, **arrays)


def load_part(path: Path, kind: str) -> Part:
    """One kind of a part's embeddings.

    Raises:
      UserError: the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            vectors = arrays[kind]
            if f"{kind}/ends" in arrays:
                vectors = np.split(vectors, arrays[f"{kind}/ends"][:-1])
            return Part(json.loads(arrays["ids"].tobytes()), arrays["lengths"], vectors)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path} is damaged ({error}); remove this file and run the same command again.") from error


def write_h5(path: Path, parts: Iterable[Part], *, facts: Facts) -> None:
    """One dataset an item, named by its place in the input (so that names sort in that order), with its `original_id`.

    A dataset is [D], or [residues, D]; the facts are attributes of the file. This is what biotrainer reads.
    """
    with _Quiet(path, "w+") as output:
        with h5py.File(output, "w") as file:
            file.attrs.update(facts)
            items = (item for part in parts for item in zip(part.ids, part.vectors, strict=True))
            for position, (name, vectors) in enumerate(items):
                file.create_dataset(f"{position:09}", data=vectors).attrs["original_id"] = name
                output.check()
        output.check()


class _Quiet(io.FileIO):
    """A file that keeps its first write error for `check`.

    HDF5 cannot let go of a file that it cannot write: it tries again for every object, with a traceback on stderr each time.
    """

    error: OSError | None = None

    def write(self, data: memoryview) -> int:
        written = 0
        while self.error is None and written < len(data):
            try:
                written += super().write(data[written:])
            except OSError as error:
                self.error = error
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        try:
            return super().truncate(size)
        except OSError as error:
            self.error = self.error or error
            return size

    def check(self) -> None:
        if self.error is not None:
            raise self.error


def write_parquet(path: Path, parts: Iterable[Part], *, facts: Facts) -> None:
    """Columns `id`, `length` and `embedding`, a row an item; the facts, and the `width` D, are metadata of the schema.

    An embedding is a list of D numbers; of a protein's residues it is their D numbers one residue after the other.
    """
    with contextlib.ExitStack() as stack:
        writer = None
        for part in parts:
            embedding, width = _list_array(part.vectors)
            columns = {"id": pyarrow.array(part.ids, pyarrow.string()), "length": part.lengths, "embedding": embedding}
            table = pyarrow.table(columns, metadata={key: str(value) for key, value in {**facts, "width": width}.items()})
            writer = writer or stack.enter_context(pyarrow.parquet.ParquetWriter(path, table.schema, use_dictionary=False))
            writer.write_table(table)


def _list_array(vectors: np.ndarray | Sequence[np.ndarray]) -> tuple[pyarrow.Array, int]:
    """Lists of one fixed size, or of any for residues, and D."""
    if isinstance(vectors, np.ndarray):
        return pyarrow.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1]), vectors.shape[1]
    offsets = np.cumsum([0, *(rows.size for rows in vectors)])
    return pyarrow.LargeListArray.from_arrays(offsets, np.concatenate(vectors).ravel()), vectors[0].shape[1]


WRITERS: dict[str, Callable] = {".h5": write_h5, ".hdf5": write_h5, ".parquet": write_parquet}
"""By the suffix of the file: (path, parts, facts=) in constant memory, one part at a time."""
