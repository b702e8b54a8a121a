"""Converts the results of a build's tasks to text, for drivers whose workers return files.

The text is JSON, so reading it runs no code; only the types below can be read back.
"""

import base64
import dataclasses
import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from data_pipelines.build.counts import Grouped
from data_pipelines.build.reading import Parsed
from data_pipelines.readers import Reject

_RECORDS = {kind.__name__: kind for kind in (Grouped, Parsed, Reject)}


def to_text(result: Any) -> str:
    """Encodes a result as text.

    It may consist of integers, strings, paths, arrays, counters, lists, tuples, `Grouped`, `Parsed`
    and `Reject`.

    Raises:
      TypeError: it contains another type.
    """
    return json.dumps(_encoded(result))


def from_text(text: str) -> Any:
    """Decodes the text that `to_text` returned."""
    return _decoded(json.loads(text))


def _encoded(value: Any) -> Any:
    if type(value).__name__ in _RECORDS:
        names = (
            value._fields
            if isinstance(value, tuple)
            else [field.name for field in dataclasses.fields(value)]
        )
        return {
            "record": type(value).__name__,
            "fields": {name: _encoded(getattr(value, name)) for name in names},
        }
    if isinstance(value, np.ndarray):
        content = base64.b64encode(np.ascontiguousarray(value).tobytes()).decode("ascii")
        return {"array": content, "dtype": value.dtype.str, "shape": value.shape}
    if isinstance(value, Counter):
        return {"counter": [[_encoded(key), count] for key, count in value.items()]}
    if isinstance(value, Path):
        return {"path": str(value)}
    if isinstance(value, list | tuple):
        return {type(value).__name__: [_encoded(item) for item in value]}
    if value is None or type(value) in (bool, int, str):
        return value
    raise TypeError(f"a task's result contains a {type(value).__name__}, which cannot be encoded")


def _decoded(value: Any) -> Any:
    match value:
        case {"record": name, "fields": fields}:
            return _RECORDS[name](**{field: _decoded(content) for field, content in fields.items()})
        case {"array": content, "dtype": dtype, "shape": shape}:
            return np.frombuffer(base64.b64decode(content), dtype).reshape(shape)
        case {"counter": items}:
            return Counter({_decoded(key): count for key, count in items})
        case {"path": path}:
            return Path(path)
        case {"list": items}:
            return [_decoded(item) for item in items]
        case {"tuple": items}:
            return tuple(_decoded(item) for item in items)
    return value
