"""Reads the shapes of a checkpoint's parameters from Orbax' metadata.

The folder may come from a stranger. Orbax unpickles nothing and imports nothing by name, and the
keys of TensorStore's database stay inside the folder; but in layouts other than this project's, an
array's name is a path. So layout and names are checked first.
"""

import contextlib
import logging
import pathlib
import re
import reprlib
from collections.abc import Iterator

import jax
from orbax.checkpoint import v1 as ocp

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json

_DICT_KEY = 2
_NAME = re.compile(r"\w{1,100}", re.ASCII)
_FIX = "get a fresh copy of the checkpoint"


def stored_arrays(step: pathlib.Path) -> dict:
    """The parameters of `checkpoints/<step>` as a tree of shapes and dtypes; reads no array.

    Raises:
      UserError: the metadata are damaged, or describe anything but arrays in this folder, in pieces
        no larger than the arrays.
    """
    item = step / "params"
    _check_names(read_json(item / "_METADATA", fix=_FIX), name=str(item / "_METADATA"))
    try:
        with _logged_reasons() as reasons:
            stored = ocp.metadata(step, "params").metadata
        if not stored:
            raise ValueError(f"Orbax finds no arrays there{''.join(reasons)}")
        for leaf in jax.tree.leaves(stored):
            _check_pieces(leaf.storage_metadata.chunk_shape, leaf.shape)
        return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), stored)
    except Exception as error:  # a hostile file can raise anything
        raise UserError(f"{item} cannot be read ({root_cause(error)}); {_FIX}.") from error


@contextlib.contextmanager
def _logged_reasons() -> Iterator[list[str]]:
    """Captures Orbax' reasons for finding nothing, which it only logs among many other messages.

    Nothing is logged in this context.
    """
    reasons = []

    def keep(record: logging.LogRecord) -> bool:
        _, found, reason = record.getMessage().partition("Error details: ")
        if found:
            reasons.append(f": {reason.partition(' [tensorstore_spec')[0]}")
        return False

    logger = logging.getLogger("absl")
    logger.addFilter(keep)
    try:
        yield reasons
    finally:
        logger.removeFilter(keep)


def _check_pieces(piece: tuple[int, ...], shape: tuple[int, ...]) -> None:
    # A piece is held in memory as a whole, however little of the array it covers.
    if any(part > max(size, 1) for part, size in zip(piece, shape, strict=True)):
        raise ValueError(f"an array of shape {shape} is stored in pieces of {piece}")


def _check_names(metadata: dict, *, name: str) -> None:
    if metadata.get("use_ocdbt") is not True or metadata.get("use_zarr3") is not True:
        raise UserError(
            f"{name} describes a layout other than zarr3 arrays in an ocdbt database; {_FIX}."
        )
    try:
        paths = [entry["key_metadata"] for entry in metadata["tree_metadata"].values()]
        unknown = [key["key"] for path in paths for key in path if not _is_name(key)]
    except (AttributeError, TypeError, KeyError) as error:
        raise UserError(f"{name} is damaged: it does not list arrays; {_FIX}.") from error
    if unknown:
        shown = reprlib.repr(unknown[0])
        raise UserError(f"{name} is damaged: {shown} cannot name a parameter; {_FIX}.")


def _is_name(key: dict) -> bool:
    return key["key_type"] == _DICT_KEY and _NAME.fullmatch(key["key"]) is not None


def root_cause(error: BaseException) -> str:
    """The first line of the original error; Orbax wraps any error in its own."""
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0][:600]
