"""Reader for UniProt's REST JSON: `{"results": [...]}`, an array, one entry, or JSON lines.

Every field equals what the flat file of the same entry gives, evidence tags included
(`flat_style`). Most of the time goes into building records, not into the standard library's JSON
parser, so a faster one such as orjson (benchmarks/readers.py) would gain little.
"""

import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from data_pipelines.protanno.record import Feature, Record
from data_pipelines.readers.uniprot.entry import Malformed, RawEntry, printable
from data_pipelines.readers.uniprot.feature_table import WITH_SEQUENCE, binding_note, residues
from data_pipelines.readers.uniprot.feature_types import OF_JSON
from data_pipelines.readers.uniprot.flat_style import (
    Tagged,
    comment,
    existence_level,
    location_comment,
    sequence_note,
    tagged,
)
from data_pipelines.readers.uniprot.json_format import JsonFormat, member
from data_pipelines.readers.uniprot.names import ALLERGEN, BIOTECH, CD_ANTIGEN, EC, Names

SOURCES = {
    "UniProtKB reviewed (Swiss-Prot)": "swissprot",
    "UniProtKB unreviewed (TrEMBL)": "trembl",
    "Swiss-Prot": "swissprot",
    "TrEMBL": "trembl",
}
TOPICS = {"FUNCTION": "function", "SUBCELLULAR LOCATION": "location", "SIMILARITY": "similarity"}

_GENE_NAMES = ("synonyms", "orderedLocusNames", "orfNames")
_ACCESSION = re.compile(rb'"primaryAccession"\s*:\s*"([^"\s]+)"')


class UniprotJson(JsonFormat):
    """UniProt's REST JSON."""

    name = "json"
    description = "UniProt's REST JSON or JSON lines"

    def recognises(self, content: bytes) -> bool:
        """Whether an object has an `entryType`."""
        return b'"entryType"' in content

    def accession(self, raw: RawEntry) -> str:
        """Returns the accession of a possibly broken entry, '' if not found."""
        return raw.find(_ACCESSION)

    def record(self, entry: dict, omitted: Counter) -> Record:
        """Converts an entry to a record.

        Raises:
          Malformed: the entry is not valid.
        """
        source = _text(entry, "entryType")
        if source not in SOURCES:
            raise Malformed(
                f"its entryType is {printable(source[:60])!r}; expected {', '.join(SOURCES)}"
            )
        sequence = _text(_object(entry, "sequence"), "value")
        length = member(_object(entry, "sequence"), "length", int) or len(sequence)
        if length != len(sequence):
            raise Malformed(
                f"its sequence has {len(sequence)} residues, but its length field says {length}"
            )
        names = _names(entry)
        return Record(
            accession=_text(entry, "primaryAccession"),
            entry_name=_text(entry, "uniProtkbId"),
            source=SOURCES[source],
            sequence=sequence,
            existence=existence_level(_text(entry, "proteinExistence")),
            name=names.name,
            other_names=names.others,
            organism=" ".join(_text(_object(entry, "organism"), "scientificName").split()),
            taxon=member(_object(entry, "organism"), "taxonId", int),
            genes=tuple(_genes(entry)),
            go=tuple(_go(entry)),
            features=_features(entry, length=len(sequence), omitted=omitted),
            **_comments(entry),
        )


def _text(value: Any, key: str) -> str:
    return member(value, key, str)


def _list(value: Any, key: str) -> list:
    return member(value, key, list)


def _object(value: Any, key: str) -> dict:
    return member(value, key, dict)


def _tagged(value: Any) -> Tagged:
    """Converts `{"value": …, "evidences": […]}` to a one-line text and its tags."""
    return " ".join(_text(value, "value").split()), list(map(_tag, _list(value, "evidences")))


def _tag(evidence: Any) -> str:
    code, source, name = (_text(evidence, key) for key in ("evidenceCode", "source", "id"))
    if source == "Reference":
        return f"{code}|{name}"
    return f"{code}|{source}:{name}" if source else code


def _names(entry: dict) -> Names:
    description = _object(entry, "proteinDescription")
    recommended = _object(description, "recommendedName")
    submitted = _list(description, "submissionNames")
    blocks = [recommended, *_list(description, "alternativeNames"), *submitted]
    named = list(itertools.chain.from_iterable(map(_block_names, blocks)))
    for key, begin in (("allergenName", ALLERGEN), ("biotechName", BIOTECH)):
        named.append((begin, _object(description, key)))
    for key, begin in (("cdAntigenNames", CD_ANTIGEN), ("innNames", "")):
        named += [(begin, name) for name in _list(description, key)]
    firsts = [_object(block, "fullName") for block in (recommended, *submitted[:1])]
    first = next(filter(None, firsts), None)
    others = [(begin, name) for begin, name in named if name and name is not first]
    return Names(
        tagged(*_tagged(first)) if first else "",
        tuple(begin + _tagged(name)[0] for begin, name in others),
    )


def _block_names(block: Any) -> Iterator[tuple[str, dict]]:
    """Yields the names of one block, each with its prefix among the other names."""
    yield "", _object(block, "fullName")
    for key, begin in (("shortNames", ""), ("ecNumbers", EC)):
        yield from ((begin, name) for name in _list(block, key))


def _genes(entry: dict) -> Iterator[str]:
    """Yields the names of all genes, in the order of the flat file."""
    for gene in _list(entry, "genes"):
        named = [_object(gene, "geneName")]
        for key in _GENE_NAMES:
            named += _list(gene, key)
        yield from (_tagged(name)[0] for name in named if name)


def _go(entry: dict) -> Iterator[str]:
    for reference in _list(entry, "uniProtKBCrossReferences"):
        if _text(reference, "database") == "GO":
            yield _text(reference, "id")


def _comments(entry: dict) -> dict[str, str]:
    """Maps each property to its comments."""
    comments = defaultdict(list)
    for part in _list(entry, "comments"):
        if (topic := _text(part, "commentType")) not in TOPICS:
            continue
        molecule = _text(part, "molecule")
        if topic == "SUBCELLULAR LOCATION":
            notes = map(_tagged, _list(_object(part, "note"), "texts"))
            text = location_comment(
                molecule, map(_location, _list(part, "subcellularLocations")), notes
            )
        else:
            text = comment(molecule, map(_tagged, _list(part, "texts")))
        comments[TOPICS[topic]].append(text)
    return {name: " ".join(filter(None, texts)) for name, texts in comments.items()}


def _location(part: Any) -> list[Tagged]:
    return [_tagged(_object(part, name)) for name in ("location", "topology", "orientation")]


def _features(entry: dict, *, length: int, omitted: Counter) -> tuple[Feature, ...]:
    features = []
    for part in _list(entry, "features"):
        type_ = OF_JSON.get(_text(part, "type"))
        position = _residues(part, length)
        if type_ is None:
            omitted["type not known"] += 1
        elif isinstance(position, str):
            omitted[position] += 1
        else:
            features.append(Feature(type_, *position, _note(type_, part)))
    return tuple(features)


def _residues(part: Any, length: int) -> tuple[int, int] | str:
    location = _object(part, "location")
    if _text(location, "sequence"):
        return "on another sequence"
    ends = [_object(location, end) for end in ("start", "end")]
    return residues("..".join(map(_position, ends)), length)


def _position(end: dict) -> str:
    """The position of a feature's start or end; '' if unknown."""
    if end.get("modifier") == "UNKNOWN" or "value" not in end:
        return ""
    return str(member(end, "value", int))


def _note(type_: str, part: Any) -> str:
    """The feature's note as in the flat file's `/note`."""
    description = " ".join(_text(part, "description").split())
    if type_ in WITH_SEQUENCE:
        other = _object(part, "alternativeSequence")
        variations = _list(other, "alternativeSequences")
        if not all(isinstance(letters, str) for letters in variations):
            raise Malformed("its alternativeSequences must be a list of strings")
        return sequence_note(type_, _text(other, "originalSequence"), variations, description)
    qualifiers = {"note": description}
    for key, name in (("ligand", "ligand"), ("ligandPart", "ligand_part")):
        if bound := _object(part, key):
            qualifiers |= {name: _text(bound, "name"), f"{name}_label": _text(bound, "label")}
            qualifiers |= {f"{name}_note": _text(bound, "note")}
    return binding_note(qualifiers) if "ligand" in qualifiers else description
