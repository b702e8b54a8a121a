"""Organisms and genes as UniProt's flat file writes them."""

import re

from data_pipelines.protanno.record import strip_evidence
from data_pipelines.readers.uniprot.entry import Malformed, printable
from data_pipelines.readers.uniprot.names import last_group

GO_ID = re.compile(r"\bGO:[0-9]{7}\b")
_STRAIN = re.compile(
    r"\((?:strains?|isolates?|serotypes?|serovars?|serogroups?|subtypes?|biotypes?|biovars?|pathovars?"
    r"|clones?|variants?|varieties|variety|substrains?|cultivars?|genotypes?)\b"
)
"""What stands in the parentheses that belong to a scientific name; all others hold common names."""
_GENE_NAMES = re.compile(r"\b(?:Name|Synonyms|OrderedLocusNames|ORFNames)=([^;]*)")
_OLD_GENES = re.compile(r" OR | AND |[()]")


def scientific_name(text: str) -> str:
    """`Escherichia coli (strain K12)`, without the common names behind it, the final stop and
    further organisms."""
    text = text.strip().removesuffix(".").partition(", and ")[0]
    end = len(text)
    while (start := last_group(text, end)) and not _STRAIN.match(text, start):
        end = start - 1
    return text[:end]


def taxon_id(text: str) -> int:
    """An id of NCBI's taxonomy; 0 for nothing.

    Raises:
      Malformed: it is no number.
    """
    if text and not (text.isascii() and text.isdecimal() and len(text) <= 12):
        raise Malformed(f"its taxon is {printable(text[:30])!r}, which is no id of NCBI's taxonomy")
    return int(text or 0)


def gene_names(text: str) -> tuple[str, ...]:
    """All names of `Name=thrA; Synonyms=Hs, thrD; OrderedLocusNames=b0002;`, or of `THRA OR
    B0002.` as before 2004."""
    text = strip_evidence(text)
    labelled = ",".join(_GENE_NAMES.findall(text)).split(",")
    names = labelled if "=" in text else _OLD_GENES.split(text.strip().removesuffix("."))
    return tuple(filter(None, map(str.strip, names)))
