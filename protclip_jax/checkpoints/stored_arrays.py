"""The shapes of the arrays that a checkpoint holds, read so that nothing in a stranger's folder is taken on trust.

Orbax' metadata name the arrays, and through a name that is a path it would read outside of the folder; an array's own metadata
say how much is unpacked at once, which may be more than there is memory, and TensorStore reads them by recursion. All of this
is checked here before Orbax opens the folder, which then reads arrays of known names and sizes only. (Nothing is unpickled or
imported by name there, and the keys of TensorStore's database stay inside of the folder.)
"""

import pathlib
import re
import reprlib
from typing import NamedTuple

import tensorstore

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import MAX_FILE_BYTES, parse_object, read_json

METADATA = "_METADATA"
_DICT_KEY = 2
_NAME = re.compile(r"\w{1,100}", re.ASCII)
_MAX_DEPTH, _MAX_ARRAYS, _MAX_ARRAY_BYTES = 16, 10_000, 1 << 16
_MAX_RANK, _MAX_SIZE = 16, 1 << 48
_FLOATS = ("float32", "bfloat16", "float16")
_FIX = "get the checkpoint anew"


class StoredArray(NamedTuple):
    """What is known of an array without reading it."""

    shape: tuple[int, ...]
    dtype: str


def stored_arrays(item: pathlib.Path) -> dict[str, StoredArray]:
    """The parameters in an item's folder (`checkpoints/<step>/params`) by their paths, such as `protein/final_norm/scale`.

    Raises:
      UserError: the metadata are damaged, or describe something else than arrays of floats that lie in this folder.
    """
    check_sizes(item)
    paths = _paths(read_json(item / METADATA, fix=_FIX), name=str(item / METADATA))
    try:
        spec = {"driver": "ocdbt", "base": {"driver": "file", "path": f"{item}/"}}
        database = tensorstore.KvStore.open(spec).result()
        # One at a time: they may be larger than they should be, and many.
        described = {path: _read(database, f"{'.'.join(path)}/zarr.json", name=str(item)) for path in paths}
    except (ValueError, OSError, NotImplementedError) as error:
        reason = str(error).partition(" [tensorstore_spec")[0]
        raise UserError(f"{item} is damaged ({reason}); {_FIX}.") from error
    return {"/".join(path): _array(zarr, name=f"{item}: the array {'/'.join(path)}") for path, zarr in described.items()}


def check_sizes(folder: pathlib.Path) -> None:
    """Raises UserError for a file that Orbax would hold in memory whole, and that is too large for metadata."""
    for path in folder.rglob("*"):
        # The arrays themselves lie in folders called d.
        if path.is_file() and path.parent.name != "d" and path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(f"{path} has {path.stat().st_size} bytes, too many for metadata; {_FIX}.")


def _paths(metadata: dict, *, name: str) -> list[tuple[str, ...]]:
    """The keys of each array's place in the tree."""
    if metadata.get("use_ocdbt") is not True or metadata.get("use_zarr3") is not True:
        raise UserError(f"{name} describes another layout than zarr3 arrays in an ocdbt database; {_FIX}.")
    entries = metadata.get("tree_metadata")
    if not isinstance(entries, dict) or not 1 <= len(entries) <= _MAX_ARRAYS:
        raise UserError(f"{name} is damaged: it lists no arrays; {_FIX}.")
    paths = [_path(entry, name=name) for entry in entries.values()]
    if inner := {path[:end] for path in paths for end in range(1, len(path))} & set(paths):
        raise UserError(f"{name} is damaged: {'/'.join(inner.pop())} is an array and holds others; {_FIX}.")
    return paths


def _path(entry: object, *, name: str) -> tuple[str, ...]:
    try:
        keys = [(key["key"], key["key_type"]) for key in entry["key_metadata"]]
        kind, skipped = entry["value_metadata"]["value_type"], entry["value_metadata"]["skip_deserialize"]
    except (TypeError, KeyError, IndexError) as error:
        raise UserError(f"{name} is damaged: {reprlib.repr(entry)} describes no array; {_FIX}.") from error
    for key, key_type in keys:
        if key_type != _DICT_KEY or not isinstance(key, str) or not _NAME.fullmatch(key):
            raise UserError(f"{name} is damaged: {reprlib.repr(key)} is no name of a parameter; {_FIX}.")
    if not 1 <= len(keys) <= _MAX_DEPTH or kind not in ("jax.Array", "np.ndarray") or skipped is not False:
        raise UserError(f"{name} is damaged: {reprlib.repr(entry)} describes no array; {_FIX}.")
    return tuple(key for key, _ in keys)


def _read(database: tensorstore.KvStore, key: str, *, name: str) -> dict:
    found = database.read(key.encode()).result()
    if found.state != "value":
        raise UserError(f"{name} is damaged: its database lacks {key}; {_FIX}.")
    if len(found.value) > _MAX_ARRAY_BYTES:
        raise UserError(f"{name} is damaged: {key} in it has {len(found.value)} bytes; {_FIX}.")
    return parse_object(found.value, name=f"{key} in {name}")


def _array(zarr: dict, *, name: str) -> StoredArray:
    """What an array's zarr.json says; `name` is the array's in errors."""
    try:
        shape, dtype = zarr["shape"], zarr["data_type"]
        grid, piece = zarr["chunk_grid"]["name"], zarr["chunk_grid"]["configuration"]["chunk_shape"]
    except (TypeError, KeyError) as error:
        raise UserError(f"{name} is damaged: its zarr.json lacks shape, data_type or chunk_grid; {_FIX}.") from error
    for sizes in (shape, piece):
        if not isinstance(sizes, list) or not all(type(size) is int and 0 <= size <= _MAX_SIZE for size in sizes):
            raise UserError(f"{name} is damaged: {reprlib.repr(sizes)} is no shape; {_FIX}.")
    if dtype not in _FLOATS or grid != "regular" or len(shape) > _MAX_RANK:
        raise UserError(f"{name} is damaged: it is no array of floats on a regular grid; {_FIX}.")
    # A piece is held in memory whole, however little of the array it is.
    if len(piece) != len(shape) or any(part > max(size, 1) for part, size in zip(piece, shape, strict=True)):
        raise UserError(f"{name} of shape {shape} is stored in pieces of {reprlib.repr(piece)}; {_FIX}.")
    return StoredArray(tuple(shape), dtype)
