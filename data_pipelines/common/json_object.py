"""JSON objects from files that others wrote."""

import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.common.errors import UserError

MAX_FILE_BYTES = 16 << 20
MAX_DEPTH = 64


def read_json(path: pathlib.Path, *, fix: str = "give a complete folder") -> dict:
    """The JSON object in a file of at most 16 MiB.

    Raises:
      UserError: there is no such file (then do what `fix` says), it is larger, or it is no JSON
        object with distinct names.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path} is missing; {fix}.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(
                f"{path} has {path.stat().st_size} bytes, too many for such a file; give the "
                "original one."
            )
        return parse_object(path.read_bytes(), name=str(path))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); check its permissions."
        ) from error


def parse_object(text: bytes, *, name: str) -> dict:
    """The JSON object that `text` is; `name` says in errors where it comes from.

    Raises:
      UserError: it is something else, repeats a name within an object, or is nested more than
        `MAX_DEPTH` deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise UserError(
            f"{name} is damaged: its JSON is nested too deeply; get the file anew."
        ) from error
    except ValueError as error:
        raise UserError(
            f"{name} is damaged: it is no JSON ({error}); get the file anew."
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{name} is damaged: it is no JSON object; get the file anew.")
    if _is_deeper(value, MAX_DEPTH):
        raise UserError(f"{name} is damaged: its JSON is nested too deeply; get the file anew.")
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict:
    # Readers disagree about which of two equal names counts.
    members = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{name!r} occurs twice")
        members[name] = value
    return members


def _is_deeper(value: object, depth: int) -> bool:
    """Whether objects and arrays lie in each other more than `depth` deep; without recursion,
    which they could exhaust."""
    level = [value]
    for _ in range(depth):
        inner = [
            part.values() if isinstance(part, dict) else part
            for part in level
            if isinstance(part, dict | list)
        ]
        level = [part for parts in inner for part in parts]
    return any(isinstance(part, dict | list) for part in level)


def to_json(value: Any) -> Any:
    """The value with numbers that are not finite as None, since JSON has none, and NumPy scalars
    as plain numbers."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


_HUGE = 1e30
"""Of any number: far above all that make sense."""


def is_number(value: object) -> bool:
    """Whether it is a finite number that float arithmetic can take."""
    # Compared, not converted: an integer of JSON may have thousands of digits.
    return type(value) in (int, float) and -_HUGE < value < _HUGE
