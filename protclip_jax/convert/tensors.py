"""Reads tensors of weight files: safetensors, and PyTorch's with its weights-only loader."""

import pathlib
import reprlib
import zipfile
from collections.abc import Callable, Mapping
from typing import NamedTuple

import ml_dtypes
import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

from data_pipelines.common.errors import UserError
from data_pipelines.common.extras import missing_extra
from data_pipelines.common.json_object import read_json

Tensors = Mapping[str, np.ndarray]
"""Arrays by their names in the file."""

FLOATS = {
    "float32": np.dtype(np.float32),
    "float16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
}
"""Dtypes of parameters, in files and in `--dtype`."""

_DTYPES = (
    "F64",
    "F32",
    "F16",
    "BF16",
    "BOOL",
    "I64",
    "I32",
    "I16",
    "I8",
    "U64",
    "U32",
    "U16",
    "U8",
)
"""Safetensors' names of the dtypes that it reads into NumPy."""
_MAX_NAME = 512
_INDEX = ".index.json"
"""How the names of the indexes of shards end."""

_FIRST_SAFE_TORCH = (2, 6)
"""Before it the weights-only loader could be made to run code (CVE-2025-32434)."""


class Weights(NamedTuple):
    """A folder's tensors and the files that they came from."""

    tensors: dict[str, np.ndarray]
    files: list[pathlib.Path]


def read_weights(folder: pathlib.Path) -> Weights:
    """Reads a Hugging Face folder's tensors: safetensors if present, else PyTorch; sharded or not.

    Raises:
      UserError: the folder does not exist or has no weights, or a file is damaged or has another
      format than its name says.
    """
    if not folder.is_dir():
        raise UserError(
            f"{folder} is not a folder; give one with config.json and model.safetensors."
        )
    for name, reader in _readers().items():
        if (folder / name).is_file():
            return Weights(reader(folder / name), [folder / name])
        if (index := folder / f"{name}{_INDEX}").is_file():
            return _read_shards(index, reader)
    raise UserError(
        f"{folder} holds no weights: neither {' nor '.join(_readers())}, whole or with an "
        "index of shards."
    )


def has_weights(folder: pathlib.Path) -> bool:
    """Whether a folder has a weight file, or an index of shards, that `read_weights` knows."""
    return any((folder / f"{name}{end}").is_file() for name in _readers() for end in ("", _INDEX))


def _readers() -> dict[str, Callable[[pathlib.Path], dict[str, np.ndarray]]]:
    """The weight files to read, the first kind that exists, and their reader."""
    return {"model.safetensors": read_safetensors, "pytorch_model.bin": _read_pytorch}


def _read_shards(
    index: pathlib.Path, reader: Callable[[pathlib.Path], dict[str, np.ndarray]]
) -> Weights:
    listed = read_json(index).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise UserError(
            f"{index} is damaged: its weight_map does not name a file for each tensor; get a "
            "fresh copy."
        )
    tensors: dict[str, np.ndarray] = {}
    files = [index]
    for name in sorted(set(listed.values())):
        if (
            name != pathlib.PurePath(name).name
            or "\\" in name
            or not (index.parent / name).is_file()
        ):
            raise UserError(
                f"{index} names the shard {reprlib.repr(name)}, which is not a file of that "
                "folder; get a fresh copy."
            )
        files.append(index.parent / name)
        for tensor, array in reader(files[-1]).items():
            if listed.get(tensor) != name:
                raise UserError(
                    f"{index} does not list the tensor {tensor} of {name}; get a fresh copy of "
                    "the folder."
                )
            tensors[tensor] = array
    if missing := sorted(listed.keys() - tensors.keys()):
        raise UserError(
            f"{index} lists the tensor {missing[0]}, which its shard lacks; get a fresh copy of "
            "the folder."
        )
    return Weights(tensors, files)


def read_safetensors(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The tensors of a safetensors file, in memory.

    Raises:
      UserError: there is no such file, it is damaged, or a tensor has a dtype that NumPy lacks.
    """
    if not path.is_file():
        raise UserError(f"{path} is not a file; give a safetensors file.")
    try:
        with safe_open(path, framework="numpy") as file:
            return {_checked_name(name): _read_tensor(file, name) for name in file.offset_keys()}
    except Exception as error:  # whatever a damaged or hostile file leads to
        raise UserError(
            f"{path} cannot be read as safetensors ({error}); download it again."
        ) from error


def _read_tensor(file: safe_open, name: str) -> np.ndarray:
    dtype = file.get_slice(name).get_dtype()
    if dtype not in _DTYPES:
        raise ValueError(
            f"the tensor {name} has the dtype {dtype}, expected one of {', '.join(_DTYPES)}"
        )
    return file.get_tensor(name)


def _read_pytorch(path: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise missing_extra(f"{path} needs PyTorch to be read", "torch", error) from error
    if tuple(map(int, torch.__version__.split(".")[:2])) < _FIRST_SAFE_TORCH:
        raise UserError(
            f"{path} needs PyTorch 2.6 or newer to be read safely, {torch.__version__} is "
            "installed; upgrade torch."
        )
    try:
        # Only the zip format of today can be mapped.
        zipped = zipfile.is_zipfile(path)
        if zipped and _is_compressed(path):
            raise ValueError("its members are compressed, which PyTorch never does")
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        if inner := [name for name, value in loaded.items() if isinstance(value, dict) and value]:
            raise ValueError(
                f"the weights may be within {_checked_name(inner[0])}: save what that holds alone"
            )
        return {
            _checked_name(name): _as_numpy(tensor.detach(), torch)
            for name, tensor in loaded.items()
        }
    except Exception as error:  # whatever a damaged or hostile file leads to
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"{path} holds no named tensors that PyTorch's weights-only loader reads "
            f"({reason}); use safetensors."
        ) from error


def _is_compressed(path: pathlib.Path) -> bool:
    """Whether an archive unpacks to more than its size."""
    with zipfile.ZipFile(path) as archive:
        return any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())


def _checked_name(name: object) -> str:
    """Checks that a tensor's name is fit for messages.

    Raises:
      ValueError: it is not a valid name.
    """
    if not isinstance(name, str) or len(name) > _MAX_NAME or not name.isprintable():
        raise ValueError(f"{reprlib.repr(name)} is not a valid tensor name")
    return name


def _as_numpy(tensor, torch) -> np.ndarray:
    if tensor.dtype == torch.bfloat16:
        return tensor.contiguous().view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def write_safetensors(path: pathlib.Path, tensors: Tensors) -> None:
    """Writes tensors of any memory layout; equal tensors give equal bytes, whatever their order."""
    # The library writes the bytes as they lie in memory, into a file that its owner alone may read.
    ordered = {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}
    path.touch()
    mode = path.stat().st_mode
    save_file(ordered, path, metadata={"format": "pt"})
    path.chmod(mode)
