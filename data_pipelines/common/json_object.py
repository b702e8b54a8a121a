"""Safe reading of JSON objects from files of unknown origin."""

import itertools
import json
import math
import pathlib
from collections.abc import Mapping
from typing import Any

from data_pipelines.common.errors import UserError

MAX_FILE_BYTES = 16 << 20
MAX_DEPTH = 64


def read_json(path: pathlib.Path, *, fix: str = "give a complete folder") -> dict:
    """Reads the JSON object in a file of at most 16 MiB.

    Raises:
      UserError: the file is missing (the message ends with `fix`), too large, or not a JSON object
        with unique names.
    """
    try:
        if not path.is_file():
            raise UserError(f"{path} is missing; {fix}.")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UserError(
                f"{path} has {path.stat().st_size} bytes, more than the {MAX_FILE_BYTES} allowed; "
                "use the original file."
            )
        return parse_object(path.read_bytes(), name=str(path))
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}); check its permissions."
        ) from error


def parse_object(text: bytes, *, name: str) -> dict:
    """Parses a JSON object; `name` is its source in error messages.

    Raises:
      UserError: it is not an object, repeats a name within an object, or is nested more than
        `MAX_DEPTH` deep.
    """
    try:
        value = json.loads(text, object_pairs_hook=_distinct)
    except RecursionError as error:
        raise UserError(
            f"{name} is damaged: its JSON is nested too deeply; get a fresh copy of the file."
        ) from error
    except ValueError as error:
        raise UserError(
            f"{name} is damaged: not valid JSON ({error}); get a fresh copy of the file."
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{name} is damaged: not a JSON object; get a fresh copy of the file.")
    if _is_deeper(value, MAX_DEPTH):
        raise UserError(
            f"{name} is damaged: its JSON is nested too deeply; get a fresh copy of the file."
        )
    return value


def _distinct(pairs: list[tuple[str, object]]) -> dict:
    # Parsers disagree about which of two equal names wins.
    members = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"{name!r} occurs twice")
        members[name] = value
    return members


def _is_deeper(value: object, depth: int) -> bool:
    """Whether objects and arrays nest more than `depth` deep; iterative, to spare the stack."""
    level = [value]
    for _ in range(depth):
        inner = [
            part.values() if isinstance(part, dict) else part
            for part in level
            if isinstance(part, dict | list)
        ]
        level = list(itertools.chain.from_iterable(inner))
    return any(isinstance(part, dict | list) for part in level)


def to_json(value: Any) -> Any:
    """Converts a value for JSON: non-finite numbers to None, NumPy scalars to plain numbers."""
    if isinstance(value, Mapping):
        return {key: to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


_HUGE = 1e30
"""Upper bound for any number; far above every sensible value."""


def is_number(value: object) -> bool:
    """Whether it is a finite number that float arithmetic can take."""
    # Compared, not converted: a JSON integer may have thousands of digits.
    return type(value) in (int, float) and -_HUGE < value < _HUGE
