"""Parses the `FT` lines of a UniProt entry, in the layouts before and since 2020.

The older layout has fixed columns; the newer one has `start..end` and qualifiers.

    FT   ACT_SITE    388    388       Proton acceptor (Potential).
    FT   BINDING         102
    FT                   /ligand="Zn(2+)"
    FT                   /ligand_label="1"

A position with `<`, `>` or `?` before its number lies beyond or near it; the number is used, as the
nearest residue given. A feature is omitted and counted if it has no number (`?`), lies on another
sequence (`P12345-2:71`) or outside this one (position 0 of a removed methionine in old entries).
"""

import re
from collections import Counter
from collections.abc import Mapping

from data_pipelines.protanno.record import Feature
from data_pipelines.readers.uniprot.feature_types import TYPES
from data_pipelines.readers.uniprot.wrapping import unwrap, unwrap_residues

WITH_SEQUENCE = {"CONFLICT", "MUTAGEN", "VARIANT", "VAR_SEQ", "VARSPLIC"}
"""Types whose note begins with residues, which wrap at any letter: `MKV -> GA (in isoform 2)`."""

_FEATURE = re.compile(r"^FT   (\S+)[^\S\n]*(\S*)[^\S\n]*(.*)((?:\nFT    .*)*)", re.MULTILINE)
"""Type, location or start, rest of the key line, further lines."""
_OLD_END = re.compile(r"(?s)([<>?]?[0-9]+|\?)(?: (.*))?\Z")
_NO_FEATURE = re.compile(r"(?:FT    .*\n?)+")
_LOCATION = re.compile(
    r"(?P<other>\S+:)?[<>?]?(?P<start>[0-9]{0,9})(?:\.\.[<>?]?(?P<end>[0-9]{0,9}))?"
)
_MAX_DIGITS = 18
"""Limit for a location; Python refuses to parse numbers with thousands of digits."""
_NEXT_FEATURE = re.compile(rf"; (?=(?:{'|'.join(TYPES)}) [<>?]?[0-9?])")
_NOTE = re.compile(r'/note="((?:[^"]++|"")*+)"')
_QUALIFIER = re.compile(r'/(\w++)="((?:[^"]++|"")*+)"')


def parse_features(table: str, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    """Parses the features of one entry.

    Args:
      table: the entry's `FT` lines, without a final line break.
      length: the number of residues.
      omitted: counts the omitted features, by reason.
    """
    features = []
    if _NO_FEATURE.match(table):
        omitted["lines without a feature"] += 1
    for type_, location, old, lines in _FEATURE.findall(table):
        if old:
            # The older layout has two positions, then the note.
            end, _, note = old.partition(" ")
            location, note = (
                f"{location}..{end}",
                _old_note(type_, note + lines.replace("\nFT", "\n")),
            )
        else:
            note = _new_note(type_, lines) if lines else ""
        position = residues(location, length)
        if isinstance(position, str):
            omitted[position] += 1
        else:
            features.append(Feature(type_, *position, note))
    return tuple(features)


def cell_features(type_: str, cell: str, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    """Parses the features of one type from a cell of a TSV export.

    A cell looks like `METAL 5; /note="Zn"; METAL 9` or `METAL 5 5 Zn.; METAL 9 9`.

    Args:
      cell: the non-empty text of the cell.
      length: the number of residues.
      omitted: counts the omitted features, by reason.
    """
    features = []
    for part in re.split(rf"; (?={type_} [<>?]?[0-9?])", cell):
        key, _, rest = part.partition(" ")
        location, _, description = rest.partition("; " if "/" in rest else " ")
        if end := _OLD_END.match(description):
            location, note = f"{location}..{end[1]}", _old_note(type_, end[2] or "")
        else:
            qualifiers = parse_qualifiers(description)
            note = (
                binding_note(qualifiers) if "ligand" in qualifiers else qualifiers.get("note", "")
            )
        position = residues(location, length) if key == type_ else "location not understood"
        if isinstance(position, str):
            omitted[position] += 1
        else:
            features.append(Feature(type_, *position, note))
    return tuple(features)


def mixed_features(cell: str, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    """Parses the features of a cell with several types: `ACT_SITE 57; /note="Zn"; DOMAIN 20..130`.

    Arguments are as in `cell_features`; the cell may be empty.
    """
    features = []
    for part in _NEXT_FEATURE.split(cell) if cell else ():
        type_ = part.partition(" ")[0]
        if type_ in TYPES:
            features += cell_features(type_, part, length=length, omitted=omitted)
        else:
            omitted["type not known"] += 1
    return tuple(features)


def residues(location: str, length: int) -> tuple[int, int] | str:
    """Parses a location such as `5`, `3..9` or `<1..?20` to (start, end), or names the problem."""
    start, dots, end = location.partition("..")
    end = end if dots else start
    if not (
        start.isdigit() and end.isdigit() and location.isascii() and len(location) <= _MAX_DIGITS
    ):
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


def _unwrap(type_: str, text: str) -> str:
    return unwrap_residues(text) if type_ in WITH_SEQUENCE else unwrap(text)


def _old_note(type_: str, text: str) -> str:
    """The description without its final period (layout) and without the feature's identifier."""
    return _unwrap(type_, text.partition("/FTId=")[0]).removesuffix(".")


def _new_note(type_: str, lines: str) -> str:
    if "/ligand=" in lines:
        return binding_note(parse_qualifiers(unwrap(lines.replace("\nFT", "\n"))))
    text = _NOTE.search(lines)
    if not text:
        return ""
    text = text[1].replace('""', '"')
    return _unwrap(type_, text.replace("\nFT", "\n")) if "\n" in text else text


def parse_qualifiers(text: str) -> dict[str, str]:
    """Maps names to values of `/name="value"`; doubled quotation marks become single ones."""
    return {name: value.replace('""', '"') for name, value in _QUALIFIER.findall(text)}


def binding_note(qualifiers: Mapping[str, str]) -> str:
    """The ligand, then the feature's /note (no /evidence): `Zn(2+) 1; catalytic; in the dimer`."""
    get = qualifiers.get
    ligand = f"{get('ligand', '')} {get('ligand_label', '')}".rstrip()
    part = f"{get('ligand_part', '')} {get('ligand_part_label', '')}".rstrip()
    return "; ".join(filter(None, (ligand, part, get("ligand_note"), get("note"))))
