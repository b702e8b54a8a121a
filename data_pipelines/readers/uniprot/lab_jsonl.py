"""A lab's own JSON lines (or an array): one object per protein, with these fields

    accession     string, required
    sequence      string, required
    name          string; absent, null or "" if unknown, like the three texts below
    function      string
    location      string
    similarity    string
    other_names   list of strings; requires a name
    entry_name    string
    organism      string
    taxon         NCBI taxonomy id, an integer
    genes         list of strings
    go            list of strings
    source        string, see below
    existence     integer, see below
    features      list of features, see below

`source` is "swissprot", "trembl" or "unknown" (the default). `existence` is UniProt's protein
existence from 1 to 5, or 0 for unknown (the default). A feature is `[type, start, end, note]`: the
type as in UniProt's `FT` lines, 1-based inclusive positions, and an optional note.

    {"accession": "LAB1", "sequence": "MKVLAAGIV", "name": "Widgetase",
     "features": [["ACT_SITE", 5, 5, "Nucleophile"]]}

Other fields are ignored. The build counts each by name, so that misspelt ones show up.
`--cluster_field` reads similarity clusters from one of them.
"""

import re
from collections import Counter

from data_pipelines.protanno.record import PROPERTIES, UNKNOWN_SOURCE, Feature, Record
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, printable
from data_pipelines.readers.uniprot.feature_table import residues
from data_pipelines.readers.uniprot.feature_types import TYPES
from data_pipelines.readers.uniprot.json_format import JsonFormat, member

_TEXTS = ("accession", "sequence", "entry_name", "organism", *PROPERTIES)
_LISTS = ("other_names", "genes", "go")
_FIELDS = frozenset([*_TEXTS, *_LISTS, "source", "existence", "taxon", "features"])
_ACCESSION = re.compile(rb'"accession"\s*:\s*"([^"\s]+)"')


class LabJsonl(JsonFormat):
    """A lab's own objects."""

    name = "lab_jsonl"
    description = (
        "a lab's own JSON lines with the fields accession, sequence and any of the TSV's columns"
    )
    nameless = True

    def recognises(self, content: bytes) -> bool:
        """Whether an object has the key `accession` and lacks UniProt's `entryType`."""
        return b'"accession"' in content and b'"entryType"' not in content

    def accession(self, raw: RawEntry) -> str:
        """Returns the accession of a possibly broken entry, '' if not found."""
        return raw.find(_ACCESSION)

    def record(self, entry: dict, omitted: Counter) -> Record:
        """Converts an object to a record.

        Raises:
          Malformed: a field has the wrong type.
        """
        texts = {name: " ".join(member(entry, name, str).split()) for name in _TEXTS}
        lists = {name: tuple(_texts(entry, name)) for name in _LISTS}
        features = _features(entry, length=len(texts["sequence"]), omitted=omitted)
        omitted.update(map(ignored_field, entry.keys() - _FIELDS))
        return Record(
            **texts,
            **lists,
            taxon=member(entry, "taxon", int),
            source=member(entry, "source", str) or UNKNOWN_SOURCE,
            existence=member(entry, "existence", int),
            features=features,
        )


def _texts(entry: dict, name: str) -> list[str]:
    texts = member(entry, name, list)
    if not all(isinstance(text, str) for text in texts):
        raise Malformed(f"its {name} must be a list of strings")
    return texts


def ignored_field(field: str) -> str:
    """Names an ignored field in a build's counts."""
    return f"ignored field {printable(field)[:100]}"


def _features(entry: dict, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    features = []
    for part in member(entry, "features", list):
        type_, start, end, note = _parts(part)
        position = residues(f"{start}..{end}", length)
        if type_ not in TYPES:
            omitted["type not known"] += 1
        elif isinstance(position, str):
            omitted[position] += 1
        else:
            features.append(Feature(type_, *position, note))
    return tuple(features)


def _parts(part: object) -> tuple[str, int, int, str]:
    match part:
        case [str(type_), int(start), int(end)] | [str(type_), int(start), int(end), None]:
            return type_, start, end, ""
        case [str(type_), int(start), int(end), str(note)]:
            return type_, start, end, note
    raise Malformed(f"its feature {printable(repr(part)[:60])} is not [type, start, end, note]")
