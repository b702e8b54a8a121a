"""NumPy's files from others: without pickles, and whatever is wrong with one is one sentence."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError


def read_array(path: Path) -> np.ndarray:
    """The array of an `.npy` file.

    Raises:
      UserError: the file is none, is damaged, or needs pickles.
    """
    try:
        array = np.load(path, allow_pickle=False)
    # NumPy parses headers with Python's tokenizer: a damaged file raises nearly anything.
    except Exception as error:
        raise UserError(
            f"{path} is no sound .npy file of numbers ({_message(error)}); fetch it again."
        ) from error
    if not isinstance(array, np.ndarray):
        raise UserError(f"{path} is no .npy file but one of several arrays; give one array.")
    return array


def read_arrays(path: Path, names: Sequence[str]) -> list[np.ndarray]:
    """These arrays of an `.npz` file.

    Raises:
      UserError: the file is none, is damaged, needs pickles, or lacks one of the arrays.
    """
    wanted = " and ".join(names)
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return [arrays[name] for name in names]
    # As above, and zip archives have their own ways to be damaged.
    except Exception as error:
        raise UserError(
            f"{path} is no sound .npz with the arrays {wanted} and no pickles "
            f"({_message(error)}); make such a file."
        ) from error


def _message(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200]
