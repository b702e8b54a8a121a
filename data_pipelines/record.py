"""A ProtAnno record: one protein, what UniProt says about it, and the biotext made from that."""

import dataclasses
import re

PROPERTIES = ("name", "function", "location", "similarity")
"""The four properties in biotext order; property id k + 1 belongs to PROPERTIES[k], id 0 is the full biotext."""

PREFIXES = {
    "name": "PROTEIN NAME",
    "function": "FUNCTION",
    "location": "SUBCELLULAR LOCATION",
    "similarity": "SIMILARITY",
}

SOURCES = ("swissprot", "trembl")


@dataclasses.dataclass(frozen=True, slots=True)
class Feature:
    """A UniProt `FT` line: residues start…end (1-based, inclusive), its type and its note."""

    type: str
    start: int
    end: int
    note: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Record:
    """One protein. `existence` is UniProt's protein existence 1…5 (0 = unknown); an absent property is ''."""

    accession: str
    entry_name: str
    source: str
    sequence: str
    existence: int
    name: str
    function: str = ""
    location: str = ""
    similarity: str = ""
    features: tuple[Feature, ...] = ()


def coverage(record: Record) -> int:
    """Property coverage in quarters: how many of the four properties are present (R = coverage / 4)."""
    return sum(bool(getattr(record, name)) for name in PROPERTIES)


def cluster_name(record: Record) -> str:
    """The (source, C, R) cluster of a record, as in `swissprot/C1/R4`."""
    return f"{record.source}/C{record.existence}/R{coverage(record)}"


_EVIDENCE = re.compile(r"\s*\{ECO:[^}]*\}|\s*\((?:PubMed|Ref)[.:][^()]*\)")
_SPACE_BEFORE_STOP = re.compile(r"\s+([.,;])")
_DOUBLED_STOP = re.compile(r"\.(?:\s*\.)+(?=\s|$)")


def strip_evidence(text: str) -> str:
    """Removes UniProt's evidence tags `{ECO:…}` and `(PubMed:…)`, and the stops that removing them doubles."""
    text = _SPACE_BEFORE_STOP.sub(r"\1", _EVIDENCE.sub("", text))
    return " ".join(_DOUBLED_STOP.sub(".", text).split())


def property_texts(record: Record) -> dict[str, str]:
    """The present properties in biotext order, each as `PREFIX: content` without evidence tags."""
    contents = {name: strip_evidence(getattr(record, name)) for name in PROPERTIES}
    return {name: f"{PREFIXES[name]}: {content}" for name, content in contents.items() if content}


def biotext(record: Record) -> str:
    """`PROTEIN NAME: … FUNCTION: … SUBCELLULAR LOCATION: … SIMILARITY: …`, absent properties left out."""
    return " ".join(property_texts(record).values())
