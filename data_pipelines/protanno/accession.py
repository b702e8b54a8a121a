"""UniProt's accession numbers."""

import re

_UNIPROT = r"(?:[OPQ][0-9][A-Z0-9]{3}[0-9]|[A-NR-Z][0-9](?:[A-Z][A-Z0-9]{2}[0-9]){1,2})"
_ACCESSION = re.compile(rf"(?:(?:sp|tr)\|)?({_UNIPROT})(?:-\d+)?(?:\|\w+)?")
"""UniProt's own pattern of its accession numbers, alone or as in the header of its FASTA files."""


def uniprot_accession(id: str) -> str | None:
    """The UniProt accession that an id is or holds, `P62258` for `sp|P62258|1433E_HUMAN`; None
    for any other id."""
    found = _ACCESSION.fullmatch(id)
    return found[1] if found else None
