"""The `FT` lines of a UniProt entry, in the layout before 2020 (fixed columns) and since
(`start..end` and qualifiers).

    FT   ACT_SITE    388    388       Proton acceptor (Potential).
    FT   BINDING         102
    FT                   /ligand="Zn(2+)"
    FT                   /ligand_label="1"

A position with `<`, `>` or `?` before a number lies beyond it or near it: the number is taken, as
the nearest residue the entry names. A feature without a number (`?`), on another sequence
(`P12345-2:71`) or outside of this one (position 0 of a removed methionine in old entries) cannot
be expressed as residues start…end; it is left out and counted.
"""

import re
from collections import Counter
from collections.abc import Mapping

from data_pipelines.protanno.record import Feature
from data_pipelines.readers.uniprot.feature_types import TYPES
from data_pipelines.readers.uniprot.wrapping import unwrap, unwrap_residues

WITH_SEQUENCE = {"CONFLICT", "MUTAGEN", "VARIANT", "VAR_SEQ", "VARSPLIC"}
"""Types whose note begins with residues, which wrap anywhere: `MKV -> GA (in isoform 2)`."""

_FEATURE = re.compile(r"^FT   (\S+)[^\S\n]*(\S*)[^\S\n]*(.*)((?:\nFT    .*)*)", re.MULTILINE)
"""Type, location or start, what else the key line holds, further lines."""
_OLD_END = re.compile(r"(?s)([<>?]?[0-9]+|\?)(?: (.*))?\Z")
_NO_FEATURE = re.compile(r"(?:FT    .*\n?)+")
_LOCATION = re.compile(
    r"(?P<other>\S+:)?[<>?]?(?P<start>[0-9]{0,9})(?:\.\.[<>?]?(?P<end>[0-9]{0,9}))?"
)
_MAX_DIGITS = 18
"""Of a location; more are no residues, and Python takes no number of thousands of digits."""
_NEXT_FEATURE = re.compile(rf"; (?=(?:{'|'.join(TYPES)}) [<>?]?[0-9?])")
_NOTE = re.compile(r'/note="((?:[^"]++|"")*+)"')
_QUALIFIER = re.compile(r'/(\w++)="((?:[^"]++|"")*+)"')


def parse_features(table: str, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    """The features of one entry.

    Args:
      table: its `FT` lines, without a final line end.
      length: number of residues.
      omitted: counts the features left out, by reason.
    """
    features = []
    if _NO_FEATURE.match(table):
        omitted["lines without a feature"] += 1
    for type_, location, old, lines in _FEATURE.findall(table):
        if old:
            # The old layout: two positions, then the note.
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
    """The features of one type in a cell of a TSV export: `METAL 5; /note="Zn"; METAL 9` or `METAL
    5 5 Zn.; METAL 9 9`.

    Args:
      cell: its text, not empty.
      length: number of residues.
      omitted: counts the features left out, by reason.
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
    """The features of a cell that may hold several types: `ACT_SITE 57; /note="Zn"; DOMAIN
    20..130`.

    Arguments as in `cell_features`; the cell may be empty.
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
    """(start, end) of a location `5`, `3..9`, `<1..?20`, or why it has none."""
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
    """The description without its final stop, which is layout, and without the feature's own
    identifier."""
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
    """Name → value of `/name="value"`, where a doubled quotation mark is one."""
    return {name: value.replace('""', '"') for name, value in _QUALIFIER.findall(text)}


def binding_note(qualifiers: Mapping[str, str]) -> str:
    """What is bound, then the feature's /note: `Zn(2+) 1; catalytic; in the dimer`. Its
    /evidence is left out."""
    get = qualifiers.get
    ligand = f"{get('ligand', '')} {get('ligand_label', '')}".rstrip()
    part = f"{get('ligand_part', '')} {get('ligand_part_label', '')}".rstrip()
    return "; ".join(filter(None, (ligand, part, get("ligand_note"), get("note"))))
