"""Tensors of weight files: safetensors read, checked and written here, PyTorch's format through its weights-only loader.

The safetensors package is not used: it lets repeated names pass, cannot read bfloat16 into NumPy in every version, and
writes views as they lie in memory. Arrays read are views of the mapped file: nothing is in memory before it is used.
"""

import itertools
import json
import math
import pathlib
import reprlib
import zipfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import ml_dtypes
import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import parse_object, read_json

Tensors = Mapping[str, np.ndarray]
"""Arrays by their names in the file."""

FLOATS = {"float32": np.dtype(np.float32), "float16": np.dtype(np.float16), "bfloat16": np.dtype(ml_dtypes.bfloat16)}
"""Dtypes of parameters, in files and in `--dtype`."""

_DTYPES = {
    "F32": FLOATS["float32"],
    "F16": FLOATS["float16"],
    "BF16": FLOATS["bfloat16"],
    "F64": np.dtype(np.float64),
    "F8_E4M3": np.dtype(ml_dtypes.float8_e4m3fn),
    "F8_E5M2": np.dtype(ml_dtypes.float8_e5m2),
    "BOOL": np.dtype(np.bool_),
    **{f"I{8 * size}": np.dtype(f"<i{size}") for size in (1, 2, 4, 8)},
    **{f"U{8 * size}": np.dtype(f"<u{size}") for size in (1, 2, 4, 8)},
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_LENGTH_BYTES = 8
_MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""
_MAX_NAME = 512
_MAX_RANK, _MAX_SIZE = 16, 1 << 48
"""What NumPy can certainly lay out, empty axes counted as 1."""

_FIRST_SAFE_TORCH = (2, 6)
"""Before it the weights-only loader could be made to run code (CVE-2025-32434)."""


class Weights(NamedTuple):
    """A folder's tensors and the files that they came from."""

    tensors: dict[str, np.ndarray]
    files: list[pathlib.Path]


def read_weights(folder: pathlib.Path) -> Weights:
    """The tensors of a folder as Hugging Face lays it out: safetensors if there are, else PyTorch files; whole or sharded.

    Raises:
      UserError: there is no such folder or no weights in it, or a file is damaged or not what its name says.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder; give one with config.json and model.safetensors.")
    readers = {"model.safetensors": read_safetensors, "pytorch_model.bin": _read_pytorch}
    for name, reader in readers.items():
        if (folder / name).is_file():
            return Weights(reader(folder / name), [folder / name])
        if (index := folder / f"{name}.index.json").is_file():
            return _read_shards(index, reader)
    raise UserError(f"{folder} holds no weights: neither {' nor '.join(readers)}, whole or with an index of shards.")


def _read_shards(index: pathlib.Path, reader: Callable[[pathlib.Path], dict[str, np.ndarray]]) -> Weights:
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise UserError(f"{index} is damaged: its weight_map does not name a file for each tensor; get it anew.")
    tensors: dict[str, np.ndarray] = {}
    files = [index]
    for name in sorted(set(listed.values())):
        if name != pathlib.PurePath(name).name or "\\" in name or not (index.parent / name).is_file():
            raise UserError(f"{index} names the shard {reprlib.repr(name)}, which is no file of that folder; get it anew.")
        files.append(index.parent / name)
        for tensor, array in reader(files[-1]).items():
            if listed.get(tensor) != name:
                raise UserError(f"{index} does not list the tensor {tensor} of {name}; get the folder anew.")
            tensors[tensor] = array
    if missing := sorted(listed.keys() - tensors.keys()):
        raise UserError(f"{index} lists the tensor {missing[0]}, which its shard does not hold; get the folder anew.")
    return Weights(tensors, files)


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, as read-only views of it.

    Raises:
      UserError: there is no such file, or its header, an offset or its length is wrong.
    """
    if not path.is_file():
        raise UserError(f"{path} is no file; give a safetensors file.")
    try:
        content = np.asarray(np.memmap(path, np.uint8, mode="r"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}); get the file anew.") from error
    length = int.from_bytes(content[:_LENGTH_BYTES].tobytes(), "little")
    if not 0 < length <= min(content.size - _LENGTH_BYTES, _MAX_HEADER_BYTES):
        raise UserError(
            f"{path} is no safetensors file or cut off: it announces a header of {length} bytes and has {content.size} in all."
        )
    data = content[_LENGTH_BYTES + length :]
    header = parse_object(content[_LENGTH_BYTES : _LENGTH_BYTES + length].tobytes(), name=f"the header of {path}")
    header.pop("__metadata__", None)
    try:
        extents = {_checked_name(name): _extent(entry, tensor=f"{path}: the tensor {name}") for name, entry in header.items()}
    except ValueError as error:
        raise UserError(f"{path} is damaged: {error}; get the file anew.") from error
    end = 0
    # No gaps and no overlaps: every byte belongs to one tensor.
    for name, extent in sorted(extents.items(), key=lambda item: (item[1].begin, item[1].end)):
        if extent.begin != end:
            raise UserError(f"{path}: the tensor {name} begins at byte {extent.begin}, not at {end}; get the file anew.")
        end = extent.end
    if end != data.size:
        raise UserError(f"{path} is cut off or damaged: its tensors take {end} bytes, {data.size} are there; get it anew.")
    return {name: data[x.begin : x.end].view(x.dtype).reshape(x.shape) for name, x in extents.items()}


class _Extent(NamedTuple):
    dtype: np.dtype
    shape: tuple[int, ...]
    begin: int
    end: int


def _extent(entry: object, *, tensor: str) -> _Extent:
    """A header's entry with its types and its size checked."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise UserError(f"{tensor} is not described by dtype, shape and data_offsets; get the file anew.")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise UserError(f"{tensor} has the dtype {reprlib.repr(dtype)}; only {', '.join(_DTYPES)} are known.")
    for numbers in (shape, offsets):
        if not isinstance(numbers, list) or not all(type(number) is int and number >= 0 for number in numbers):
            raise UserError(f"{tensor} has a shape or data_offsets that are no lists of integers from 0; get the file anew.")
    if len(shape) > _MAX_RANK or math.prod(size or 1 for size in shape) > _MAX_SIZE:
        raise UserError(f"{tensor} has an impossible shape; get the file anew.")
    needed = math.prod(shape) * _DTYPES[dtype].itemsize
    if len(offsets) != 2 or offsets[1] - offsets[0] != needed:
        raise UserError(f"{tensor} needs {needed} bytes, which its data_offsets do not give it; get the file anew.")
    return _Extent(_DTYPES[dtype], tuple(shape), *offsets)


def _read_pytorch(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise UserError(f"{path} needs PyTorch to be read; install torch, or convert the file to safetensors.") from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < _FIRST_SAFE_TORCH:
        raise UserError(
            f"{path} needs PyTorch 2.6 or newer to be read safely, {torch.__version__} is installed; upgrade torch."
        )
    try:
        # Only the zip format of today can be mapped.
        zipped = zipfile.is_zipfile(path)
        if zipped and _is_compressed(path):
            raise ValueError("its members are compressed, which PyTorch never does")
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        return {_checked_name(name): _as_numpy(tensor.detach(), torch) for name, tensor in loaded.items()}
    except Exception as error:  # whatever a damaged or hostile file leads to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} holds no named tensors that PyTorch's weights-only loader reads ({reason}); use safetensors."
        ) from error


def _is_compressed(path: pathlib.Path) -> bool:
    """Whether an archive unpacks to more than its size."""
    with zipfile.ZipFile(path) as archive:
        return any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())


def _checked_name(name: object) -> str:
    """A tensor's name, fit for a message; raises ValueError where it is none."""
    if not isinstance(name, str) or len(name) > _MAX_NAME or not name.isprintable():
        raise ValueError(f"{reprlib.repr(name)} is no tensor's name")
    return name


def _as_numpy(tensor, torch) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def write_safetensors(path: pathlib.Path, tensors: Tensors) -> None:
    """Writes tensors of any memory layout, one copied at a time; equal tensors give equal bytes, whatever their order."""
    # The widest first: every tensor is then aligned.
    ordered = sorted(tensors.items(), key=lambda item: (-item[1].itemsize, item[0]))
    ends = itertools.accumulate(tensor.nbytes for _, tensor in ordered)
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    for (name, tensor), end in zip(ordered, ends, strict=True):
        offsets = [end - tensor.nbytes, end]
        header[name] = {"dtype": _NAMES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": offsets}
    text = json.dumps(header, ensure_ascii=False).encode()
    text += b" " * (-len(text) % _LENGTH_BYTES)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(_LENGTH_BYTES, "little") + text)
        for _, tensor in ordered:
            file.write(tensor.tobytes())
