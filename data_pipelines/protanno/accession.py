"""UniProt accession numbers."""

import re

_UNIPROT = r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})"
_ACCESSION = re.compile(rf"(?:(?:sp|tr)\|)?({_UNIPROT})(?:-\d+)?(?:\|\w+)?")
"""UniProt's own pattern for accession numbers, alone or in a FASTA header."""


def uniprot_accession(id: str) -> str | None:
    """Extracts UniProt's accession from an id (`P62258` of `sp|P62258|1433E_HUMAN`), else None."""
    found = _ACCESSION.fullmatch(id)
    return found[1] if found else None
