"""The `FT` lines of a UniProt entry, in the layout before 2020 (fixed columns) and since (`start..end` and qualifiers).

    FT   ACT_SITE    388    388       Proton acceptor (Potential).
    FT   BINDING         102
    FT                   /ligand="Zn(2+)"
    FT                   /ligand_label="1"

A position with `<`, `>` or `?` before a number lies beyond it or near it: the number is taken, as the nearest residue the
entry names. A feature without a number (`?`), on another sequence (`P12345-2:71`) or outside of this one (position 0 of a
removed methionine in old entries) cannot be expressed as residues start…end; it is left out and counted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from data_pipelines.readers.wrapping import join_lines
from data_pipelines.record import Feature

_KEY, _COLUMN = 5, 21
"""Columns at which a feature's type and the qualifiers of the new layout begin."""

_LOCATION = re.compile(r"(?P<other>\S+:)?[<>?]?(?P<start>\d*)(?:\.\.[<>?]?(?P<end>\d*))?")
_QUALIFIER = re.compile(r'/(\w+)="((?:[^"]|"")*)"')
_WITH_SEQUENCE = {"CONFLICT", "MUTAGEN", "VARIANT", "VAR_SEQ", "VARSPLIC"}
"""Types whose note begins with residues, which wrap anywhere: `MKV -> GA (in isoform 2)`."""


def parse_features(lines: Sequence[str], *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    """The features of one entry.

    Args:
      lines: its `FT` lines.
      length: number of residues.
      omitted: counts the features left out, by reason.
    """
    features = []
    for block in _blocks(lines):
        _, type_, location, *description = block[0].rstrip().split(None, 4)
        if description:
            # The old layout: two positions, then the note.
            location = f"{location}..{description[0]}"
            note = _old_note(type_, [*description[1:], *block[1:]])
        else:
            note = _new_note(type_, block[1:])
        match _residues(location, length):
            case (start, end):
                features.append(Feature(type_, start, end, note))
            case reason:
                omitted[reason] += 1
    return tuple(features)


def _blocks(lines: Sequence[str]) -> Iterator[list[str]]:
    """Each feature's key line and the text of its further lines."""
    block: list[str] = []
    for line in lines:
        if line[_KEY : _KEY + 1].strip():
            if block:
                yield block
            block = [line]
        elif block:
            block.append(line[_COLUMN:].strip())
    if block:
        yield block


def _residues(location: str, length: int) -> tuple[int, int] | str:
    """(start, end), or why a location is none."""
    found = _LOCATION.fullmatch(location)
    if not found:
        return "location not understood"
    if found["other"]:
        return "on another sequence"
    start, end = found["start"], found["start"] if found["end"] is None else found["end"]
    if not (start and end):
        return "position unknown"
    if not 1 <= int(start) <= int(end) <= length:
        return "outside of the sequence"
    return int(start), int(end)


def _join(type_: str, lines: Iterable[str]) -> str:
    return join_lines(lines, residues=type_ in _WITH_SEQUENCE)


def _old_note(type_: str, lines: Sequence[str]) -> str:
    """The description without its final stop, which is layout, and without the feature's own identifier."""
    return _join(type_, [line for line in lines if not line.startswith("/FTId=")]).removesuffix(".")


def _new_note(type_: str, lines: Sequence[str]) -> str:
    """/note; for a binding site its ligand first: `Zn(2+) 1; catalytic`. The feature's own /evidence and /id are left out."""
    if not lines:
        return ""
    qualifiers = {name: value.replace('""', '"') for name, value in _QUALIFIER.findall(_join(type_, lines))}
    if "ligand" not in qualifiers:
        return qualifiers.get("note", "")
    get = qualifiers.get
    ligand = f"{qualifiers['ligand']} {get('ligand_label', '')}".rstrip()
    part = f"{get('ligand_part', '')} {get('ligand_part_label', '')}".rstrip()
    return "; ".join(filter(None, (ligand, part, get("ligand_note"), get("note"))))
