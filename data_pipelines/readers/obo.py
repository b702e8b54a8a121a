"""Reader for ontologies in OBO format, such as the Gene Ontology's `go.obo`."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines

_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_SPACES = {"n": " ", "W": " ", "t": " "}
"""Escape letters that mean white space."""

# Matches up to a comment (`!`) or trailing modifiers (`{…}`), unless these are escaped.
_VALUE = re.compile(r"(?:[^\\!{]|\\.|(?<=\S)[!{])*")


class Term(NamedTuple):
    """A `[Term]` stanza; missing values are ''."""

    id: str
    name: str
    namespace: str
    definition: str
    obsolete: bool
    line: int
    """1-based line of its start."""
    replaced_by: str = ""
    """For an obsolete term, the id of its replacement."""
    parents: tuple[str, ...] = ()
    """Ids of its `is_a` parents."""


def read_obo(path: Path) -> Iterator[Term]:
    """Yields the terms of an OBO file, plain or gzip, in file order; skips other stanzas.

    Raises:
      UserError: the file is unreadable, not UTF-8, or has no terms.

    Example:
        >>> import pathlib, tempfile
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "go.obo"
        >>> _ = path.write_text("[Term]\\nid: GO:0005634\\nname: nucleus\\n")
        >>> [(term.id, term.name) for term in read_obo(path)]
        [('GO:0005634', 'nucleus')]
    """
    default_namespace, tags, start, found = "", None, 0, False
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            text = decoded(line, number, path).strip()
            if text.startswith("["):
                if tags is not None:
                    yield _term(tags, default_namespace, start)
                tags, start = ({} if _value(text) == "[Term]" else None), number
                found = found or tags is not None
            elif ":" in text:
                tag, _, value = text.partition(":")
                if tag == "default-namespace" and not found:
                    default_namespace = value.strip()
                if tags is not None and tag == "is_a":
                    tags[tag] = f"{tags.get(tag, '')} {_value(value)}"
                elif tags is not None:
                    tags.setdefault(tag, value.strip())
    if not found:
        raise UserError(f"{path} has no OBO terms; expected [Term] lines.")
    if tags is not None:
        yield _term(tags, default_namespace, start)


def _term(tags: dict[str, str], default_namespace: str, line: int) -> Term:
    quoted = _QUOTED.match(tags.get("def", ""))
    return Term(
        id=_value(tags.get("id", "")),
        name=_value(tags.get("name", "")),
        namespace=_value(tags.get("namespace", default_namespace)),
        definition=_unescaped(quoted[1]) if quoted else "",
        obsolete=tags.get("is_obsolete", "").startswith("true"),
        line=line,
        replaced_by=_value(tags.get("replaced_by", "")),
        parents=tuple(tags.get("is_a", "").split()),
    )


def _value(text: str) -> str:
    """A tag's value without trailing modifiers and comment."""
    return _unescaped(_VALUE.match(text)[0].strip())


def _unescaped(text: str) -> str:
    return " ".join(_ESCAPE.sub(lambda escape: _SPACES.get(escape[1], escape[1]), text).split())
