"""Base class of JSON source formats: JSON lines, an array, or a search response."""

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
"""What may follow an entry: the next one or the end.

An ID mapping response wraps each entry in `{"from": …, "to": …}`.
"""


class JsonFormat(SourceFormat):
    """A kind of JSON object. A file may mix kinds, so each object is recognised individually."""

    suffixes = (".json", ".jsonl")

    @abc.abstractmethod
    def recognises(self, content: bytes) -> bool:
        """Whether an unparsed, possibly broken object is of this kind."""

    @abc.abstractmethod
    def record(self, entry: dict, omitted: Counter) -> Record:
        """Converts an object to a record; arguments and errors as in `parse`."""

    def split(self, path: Path) -> Iterator[RawEntry]:
        """Yields the objects of a JSON or JSON lines file."""
        return self.split_shared(path, [self])

    def split_shared(self, path: Path, formats: Sequence["JsonFormat"]) -> Iterator[RawEntry]:
        """Yields objects, each marked with the first format that recognises it or the last."""
        empty = True
        with open_bytes(path) as content:
            for line, text, problem in objects(content, path):
                empty = False
                yield RawEntry(_recognised(text, formats).name, path.name, line, text, problem)
        if empty:
            raise UserError(f"{path} has no entries: it contains no JSON object.")

    def parse(self, raw: RawEntry, omitted: Counter) -> Record:
        """Parses an entry into a record."""
        text = decode(raw.content)
        try:
            entry, end = _DECODER.raw_decode(text, text.find("{"))
        except (ValueError, RecursionError) as error:
            raise Malformed(f"it is not valid JSON: {printable(str(error))}") from None
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
    """Returns the value of an object's key, or an empty `kind` if the key is missing.

    Raises:
      Malformed: `value` is not an object, or its member is not a `kind`.
    """
    if type(value) is not dict:
        found = type(value).__name__
        raise Malformed(f"the parent of {key} is a JSON {found}, not an object")
    found = value.get(key)
    if found is None:
        return kind()
    if type(found) is not kind:
        raise Malformed(f"its {key} is a JSON {type(found).__name__}, not a {kind.__name__}")
    return found
