"""What a reader yields for each entry of a source file: a valid record, or why there is none."""

import dataclasses

from data_pipelines.record import PROPERTIES, SOURCES, Record

RESIDUES = frozenset("ACDEFGHIKLMNPQRSTVWYBJOUXZ")
"""The 20 standard residues and IUPAC's B, J, X, Z (ambiguous), O (pyrrolysine) and U (selenocysteine)."""

EXISTENCE = range(6)
"""UniProt's protein existence levels 1…5, and 0 = unknown."""


@dataclasses.dataclass(frozen=True, slots=True)
class Reject:
    """An entry that gave no record: where it begins (`line` is 1-based) and the reason in one sentence."""

    accession: str
    file: str
    line: int
    reason: str


Entry = Record | Reject


def find_fault(record: Record) -> str | None:
    """Why a record cannot be kept, whatever format it came from; None for a valid one."""
    if not record.accession:
        return "it has no accession"
    if record.source not in SOURCES:
        return f"its source is {record.source!r}, neither of {', '.join(SOURCES)}"
    if record.existence not in EXISTENCE:
        return f"its protein existence level is {record.existence}, not 1 to 5 (0 = unknown)"
    if not record.name:
        return "it has no protein name"
    if not record.sequence:
        return "its sequence is empty"
    if illegal := set(record.sequence) - RESIDUES:
        return f"its sequence holds {', '.join(map(repr, sorted(illegal)))}, which are no amino-acid letters"
    for name in PROPERTIES:
        if not getattr(record, name).isprintable():
            return f"its {name} holds control characters"
    return None


def checked(record: Record, *, file: str, line: int) -> Entry:
    """The record, or the Reject that `find_fault` calls for."""
    fault = find_fault(record)
    return record if fault is None else Reject(record.accession, file, line, fault)
