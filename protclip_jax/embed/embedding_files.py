"""Reads and writes embeddings: part files, and the HDF5 and Parquet files made from them."""

import contextlib
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
from jaxtyping import Float, Int64

from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.errors import UserError
from protclip_jax.embed.h5_keys import H5_KEYS, FreeKeys, Named

Facts = Mapping[str, str | int]
"""Metadata of a file: checkpoint, kind, policy for long proteins, …"""


class Part(NamedTuple):
    """The embeddings of n consecutive items, of one kind."""

    ids: Sequence[str]
    lengths: Int64[np.ndarray, " n"]
    """Residues per protein, or characters per text."""
    vectors: Float[np.ndarray, "n D"] | Sequence[Float[np.ndarray, "_ D"]]
    """One vector per item, or one per residue that was read."""
    hashes: Sequence[str] = ()
    """The `sequence_hash` of each item, if known."""


def save_part(
    path: Path,
    *,
    ids: Sequence[str],
    lengths: Sequence[int],
    embeddings: Mapping[str, np.ndarray | list],
    hashes: Sequence[str] = (),
) -> None:
    """Writes all kinds of embeddings of some items as an .npz without pickle, atomically.

    `embeddings` are [n, D] or lists of [L, D], as returned by `ProtCLIP.represent`, in the dtype to
    store.
    """
    texts = {"ids": ids, "hashes": hashes}
    arrays = {
        name: np.frombuffer(json.dumps(each).encode(), np.uint8) for name, each in texts.items()
    }
    arrays["lengths"] = np.array(lengths, np.int64)
    for kind, vectors in embeddings.items():
        if isinstance(vectors, list):
            arrays[f"{kind}/ends"] = np.cumsum([len(rows) for rows in vectors])
            vectors = np.concatenate(vectors)
        arrays[kind] = vectors
    with (
        atomic_path(path, partial=path.with_name(f"{path.name}.writing")) as partial,
        open(partial, "wb") as file,
    ):
        np.savez(file, **arrays)


def load_part(path: Path, kind: str) -> Part:
    """Reads the embeddings of one kind from a part.

    Raises:
      UserError: the file is damaged.
    """
    try:
        with np.load(path) as arrays:
            vectors = arrays[kind]
            if f"{kind}/ends" in arrays:
                vectors = np.split(vectors, arrays[f"{kind}/ends"][:-1])
            ids, hashes = (json.loads(arrays[name].tobytes()) for name in ("ids", "hashes"))
            return Part(ids, arrays["lengths"], vectors, hashes)
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} is damaged ({error}); remove this file and rerun the command."
        ) from error


def write_h5(path: Path, parts: Iterable[Part], *, facts: Facts, keys: str = "order") -> None:
    """Writes a dataset per item, named by `H5_KEYS[keys]`; its attribute `original_id` is the id.

    A dataset is [D] or [residues, D]; the facts and `keys` are attributes of the file.
    """
    key_of = H5_KEYS[keys]
    with _Quiet(path, "w+") as output:
        with h5py.File(output, "w") as file:
            file.attrs.update({**facts, "keys": keys})
            names = FreeKeys(file)
            for named, vectors in _named_items(parts):
                key = names.free(key_of(named))
                file.create_dataset(key, data=vectors).attrs["original_id"] = named.id
                output.check()
        output.check()


def _named_items(parts: Iterable[Part]) -> Iterator[tuple[Named, np.ndarray]]:
    position = 0
    for part in parts:
        hashes = part.hashes or [""] * len(part.ids)
        for name, digest, vectors in zip(part.ids, hashes, part.vectors, strict=True):
            yield Named(position, name, digest), vectors
            position += 1


class _Quiet(io.FileIO):
    """A file that keeps its first write error for `check`.

    HDF5 does not give up on a file that it cannot write: it retries for every object, and prints a
    traceback to stderr each time.
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
    """Writes the columns `id`, `length` and `embedding`, with a row per item.

    The facts and the width D (`width`) are metadata of the schema. An embedding is a list of D
    numbers. Residue embeddings are concatenated residue by residue; the column `rows` then has the
    number of residues, which is smaller than `length` if the protein was cut.
    """
    with contextlib.ExitStack() as stack:
        writer = None
        for part in parts:
            embedding, width = _list_array(part.vectors)
            columns = {"id": pyarrow.array(part.ids, pyarrow.string()), "length": part.lengths}
            if not isinstance(part.vectors, np.ndarray):
                columns["rows"] = np.array([len(rows) for rows in part.vectors], np.int64)
            columns["embedding"] = embedding
            table = pyarrow.table(
                columns,
                metadata={key: str(value) for key, value in {**facts, "width": width}.items()},
            )
            writer = writer or stack.enter_context(
                pyarrow.parquet.ParquetWriter(path, table.schema, use_dictionary=False)
            )
            writer.write_table(table)


def _list_array(vectors: np.ndarray | Sequence[np.ndarray]) -> tuple[pyarrow.Array, int]:
    """Lists of a fixed size, or of variable size for residues, and D."""
    if isinstance(vectors, np.ndarray):
        return pyarrow.FixedSizeListArray.from_arrays(
            vectors.ravel(), vectors.shape[1]
        ), vectors.shape[1]
    offsets = np.cumsum([0, *(rows.size for rows in vectors)])
    return pyarrow.LargeListArray.from_arrays(offsets, np.concatenate(vectors).ravel()), vectors[
        0
    ].shape[1]


H5_SUFFIXES = (".h5", ".hdf5")

WRITERS: dict[str, Callable] = {**dict.fromkeys(H5_SUFFIXES, write_h5), ".parquet": write_parquet}
"""Writers by file suffix: (path, parts, facts=), one part in memory at a time."""
