"""Reads embedding files that may come from strangers.

Only the files themselves are read, and no more than a few times their size. HDF5 files can refer to
other files (external links, external and virtual datasets) and declare numbers that they do not
store; Parquet files can repeat a value a billion times. So links, sizes and encodings are checked
before anything is read.
"""

import math
from collections.abc import Iterator
from pathlib import Path

import h5py
import pyarrow.parquet

from data_pipelines.common.settings import MAX_WIDTH

_MOST_EXPANSION = 8
"""Maximum bytes of embeddings per stored byte: such numbers hardly compress."""
_MOST_TEXT = 1 << 12
"""Maximum bytes of an attribute."""
_CODECS = ("UNCOMPRESSED", "SNAPPY")
"""Other codecs can pack gigabytes into a page of a few bytes; only its header shows the size."""
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED", "BYTE_STREAM_SPLIT", "DELTA_LENGTH_BYTE_ARRAY"}
"""Encodings that store every value, and RLE, which also encodes levels (where lists end)."""


def h5_items(file: h5py.File) -> Iterator[tuple[str, h5py.Dataset]]:
    """Yields the id and the dataset [D] of every embedding of a file.

    The id is the attribute `original_id`, or else the dataset's name.

    Raises:
      ValueError: a dataset is stored elsewhere, declares more than it stores, or is not a vector of
        numbers.
    """
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"{name!r} is a link")
        dataset = file[name]
        _check_dataset(dataset, name)
        yield h5_text(dataset.attrs, "original_id") or name, dataset


def _check_dataset(dataset: h5py.Dataset, name: str) -> None:
    if not isinstance(dataset, h5py.Dataset) or dataset.shape is None:
        raise ValueError(f"{name!r} is not an array")
    if dataset.is_virtual or dataset.external:
        raise ValueError(f"{name!r} is stored in other files")
    if dataset.ndim == 2:
        raise ValueError(
            f"{name!r} has a vector for each residue; give one vector for each protein"
        )
    if dataset.ndim != 1 or dataset.dtype.kind != "f":
        raise ValueError(f"{name!r} is {dataset.dtype} {dataset.shape}, not a vector of numbers")
    check_width(dataset.shape[0])
    stored = dataset.id.get_storage_size()
    if (
        dataset.nbytes > _MOST_EXPANSION * stored
        or math.prod(dataset.chunks or (0,)) > dataset.size
    ):
        raise ValueError(f"{name!r} declares {dataset.nbytes} bytes but stores {stored}")


def h5_text(attributes: h5py.AttributeManager, name: str) -> str | None:
    """Reads a scalar attribute as text; None if it is missing.

    Raises:
      ValueError: the attribute is an array, or too long.
    """
    if name not in attributes:
        return None
    about = attributes.get_id(name)
    if about.shape != () or about.get_storage_size() > _MOST_TEXT:
        raise ValueError(f"the attribute {name!r} is not a single value")
    return str(attributes[name])


def check_width(width: int) -> None:
    """Raises ValueError if an embedding cannot have this width."""
    if not 0 < width <= MAX_WIDTH:
        raise ValueError(f"its embeddings have width {width}")


def check_parquet(file: pyarrow.parquet.ParquetFile, *, path: Path) -> None:
    """Checks the embeddings and ids of a file, based on its metadata.

    Raises:
      ValueError: the file declares more than its size allows, or uses a codec or encoding that can.
    """
    size = path.stat().st_size
    for group in range(file.metadata.num_row_groups):
        for number in range(file.metadata.num_columns):
            _check_column(file.metadata.row_group(group).column(number), size=size)
    if file.metadata.num_rows > size:
        raise ValueError(f"it declares {file.metadata.num_rows} rows but has {size} bytes")


def _check_column(column: pyarrow.parquet.ColumnChunkMetaData, *, size: int) -> None:
    name = column.path_in_schema
    if column.compression not in _CODECS:
        raise ValueError(
            f"{name} is compressed with {column.compression}; write it with one of "
            f"{', '.join(_CODECS)}"
        )
    if others := sorted(set(column.encodings) - _ENCODINGS):
        raise ValueError(
            f"{name} is encoded as {', '.join(others)}; write it with use_dictionary=False"
        )
    if max(column.num_values, column.total_uncompressed_size) > _MOST_EXPANSION * size:
        raise ValueError(
            f"{name} declares {column.total_uncompressed_size} bytes, but the file has {size}"
        )


def fixed_width(file: pyarrow.parquet.ParquetFile, *, name: str) -> int:
    """The width of a column of floating-point vectors.

    Raises:
      ValueError: the column is something else.
    """
    kind = file.schema_arrow.field(name).type
    if not pyarrow.types.is_fixed_size_list(kind) or not pyarrow.types.is_floating(kind.value_type):
        raise ValueError(f"{name} is {kind}, not vectors of one width")
    check_width(kind.list_size)
    return kind.list_size
