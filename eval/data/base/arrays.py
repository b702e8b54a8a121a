"""Reads NumPy files from untrusted sources: no pickles, and one clear error for any damage."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError


def read_array(path: Path) -> np.ndarray:
    """Reads the array of an `.npy` file.

    Raises:
      UserError: the file is not an `.npy` file, is damaged, or needs pickles.
    """
    try:
        array = np.load(path, allow_pickle=False)
    # NumPy parses headers with Python's tokenizer, so a damaged file can raise almost anything.
    except Exception as error:
        raise UserError(
            f"{path} is not a valid .npy file of numbers ({_message(error)}); fetch it again."
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path} holds several arrays; expected an .npy file with one array.")
    return array


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """Reads the named arrays of an `.npz` file.

    Raises:
      UserError: the file is not an `.npz` file, is damaged, needs pickles, or lacks one of the
      arrays.
    """
    wanted = " and ".join(names)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    # As above; zip archives add more ways to be damaged.
    except Exception as error:
        raise UserError(
            f"{path} is not a valid .npz file with the arrays {wanted} ({_message(error)}); write "
            "it with numpy.savez, without pickled objects."
        ) from error


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
