"""The base of source formats of JSON objects: as lines, in an array, or in a search answer."""

import abc
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from data_pipelines.common.errors import UserError
from data_pipelines.protanno.record import Record
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.json_objects import objects
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, decode, printable
from data_pipelines.readers.uniprot.source_format import SourceFormat

_DECODER = json.JSONDecoder()
_AFTER = re.compile(r'\s*(?:[],]|\Z|\}\s*(?:,\s*\{\s*"from"\s*:|\]))')
"""Behind an entry stands the next, or the end; an answer of ID mapping wraps each in `{"from":
…, "to": …}`."""


class JsonFormat(SourceFormat):
    """A kind of JSON objects. A file may mix kinds, so each object is recognised by itself."""

    suffixes = (".json", ".jsonl")

    @abc.abstractmethod
    def recognises(self, content: bytes) -> bool:
        """Whether an object that is not parsed yet, and may be broken, is of this kind."""

    @abc.abstractmethod
    def record(self, entry: dict, omitted: Counter) -> Record:
        """Makes the record of an object; arguments and errors as in `parse`."""

    def split(self, path: Path) -> Iterator[RawEntry]:
        """Yields the objects of a JSON or JSON lines file."""
        return self.split_shared(path, [self])

    def split_shared(self, path: Path, formats: Sequence["JsonFormat"]) -> Iterator[RawEntry]:
        """Yields the objects, marked with the first format that recognises each, else the last."""
        empty = True
        with open_bytes(path) as content:
            for line, text, problem in objects(content, path):
                empty = False
                yield RawEntry(_recognised(text, formats).name, path.name, line, text, problem)
        if empty:
            raise UserError(f"{path} holds no entry: no JSON object is in it.")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Makes the record of an entry."""
        text = decode(raw.content)
        try:
            entry, end = _DECODER.raw_decode(text, text.find("{"))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is no sound JSON: {printable(str(error))}") from None
        if not _AFTER.match(text, end):
            following = printable(text[end:].strip()[:20])
            raise Malformed(f"its closing brace is followed by {following!r}")
        return self.record(entry, omitted)


def _recognised(content: bytes, formats: Sequence[JsonFormat]) -> JsonFormat:
    for format in formats:
        if format.recognises(content):
            return format
    return formats[-1]


def member(value: Any, key: str, kind: type) -> Any:
    """What an object has under a key; an empty `kind` if it has nothing there.

    Raises:
      Malformed: `value` is not an object, or what it has is not a `kind`.
    """
    if type(value) is not dict:
        found = type(value).__name__
        raise Malformed(f"what should have its {key} is a JSON {found}, not an object")
    found = value.get(key)
    if found is None:
        return kind()
    if type(found) is not kind:
        raise Malformed(f"its {key} is a JSON {type(found).__name__}, not a {kind.__name__}")
    return found
