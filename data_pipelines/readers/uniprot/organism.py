"""Parses organisms and genes as UniProt's flat file writes them."""

import re

from data_pipelines.protanno.record import strip_evidence
from data_pipelines.readers.uniprot.entry import Malformed, printable
from data_pipelines.readers.uniprot.names import last_group

GO_ID = re.compile(r"\bGO:[0-9]{7}\b")
_STRAIN = re.compile(
    r"\((?:strains?|isolates?|serotypes?|serovars?|serogroups?|subtypes?|biotypes?|biovars?|pathovars?"
    r"|clones?|variants?|varieties|variety|substrains?|cultivars?|genotypes?)\b"
)
"""Parentheses that belong to a scientific name; all others hold common names."""
_GENE_NAMES = re.compile(r"\b(?:Name|Synonyms|OrderedLocusNames|ORFNames)=([^;]*)")
_OLD_GENES = re.compile(r" OR | AND |[()]")


def scientific_name(text: str) -> str:
    """Extracts `Escherichia coli (strain K12)`: no common names, period or further organisms."""
    text = text.strip().removesuffix(".").partition(", and ")[0]
    end = len(text)
    while (start := last_group(text, end)) and not _STRAIN.match(text, start):
        end = start - 1
    return text[:end]


def taxon_id(text: str) -> int:
    """Parses an NCBI taxonomy id; '' gives 0.

    Raises:
      Malformed: it is not a number.
    """
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise Malformed(f"its taxon is {printable(text[:30])!r}, not an NCBI taxonomy id")
    return int(text or 0)


def gene_names(text: str) -> tuple[str, ...]:
    """Lists all gene names, from either layout.

    Since 2004 it is `Name=thrA; Synonyms=Hs, thrD; OrderedLocusNames=b0002;`; before, it was
    `THRA OR B0002.`
    """
    text = strip_evidence(text)
    labelled = ",".join(_GENE_NAMES.findall(text)).split(",")
    names = labelled if "=" in text else _OLD_GENES.split(text.strip().removesuffix("."))
    return tuple(filter(None, map(str.strip, names)))
