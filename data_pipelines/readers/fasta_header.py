"""Parses FASTA headers of UniProt, UniRef and NCBI."""

import re

from data_pipelines.protanno.record import EXISTENCE, MAX_TAXON, UNKNOWN_SOURCE, Record

_UNIPROT_ID = re.compile(r"(sp|tr)\|[^|]+\|(\w+)")
_UNIPROT_SOURCES = {"sp": "swissprot", "tr": "trembl"}
_FIELD = re.compile(r"(?:^| )(OS|OX|GN|PE|SV)=(.*?)(?= (?:OS|OX|GN|PE|SV)=|$)")
_UNIREF_FIELD = re.compile(r" (n|Tax|TaxID|RepID)=(.*?)(?= (?:n|Tax|TaxID|RepID)=|$)")
_UNIREF_ID = re.compile(r"UniRef\d+_\S+")
_BRACKETED = re.compile(r" ?\[(\w+)=([^\[\]]*)\]")
_ORGANISM = re.compile(r" ?\[((?:[^\[\]]|\[[^\[\]]*\])*)\]$")
"""NCBI's organism ends the line; its name may have brackets, as in `[[Candida] glabrata]`."""


def header_record(id: str, rest: str, sequence: str) -> Record:
    """Builds a record from a header: its first word (`id`) and the rest.

    UniProt: `sp|P07260|IF4E_YEAST Name OS=Organism OX=559292 GN=CDC33 PE=1 SV=1`. UniRef:
    `UniRef50_P07260 Name n=3 Tax=Organism TaxID=4932 RepID=…`. NCBI: `NP_1.1 Name [Organism]`, and
    `[gene=CDC33] [protein=Name]` for genomes. Any other header is taken as a name. The accession is
    the id as written.

    Example:
        >>> record = header_record("sp|P07260|IF4E_YEAST", "eIF-4E OS=Yeast OX=559292 PE=1", "MKV")
        >>> record.name, record.organism, record.taxon
        ('eIF-4E', 'Yeast', 559292)
    """
    fields = {
        "accession": id,
        "sequence": sequence,
        "entry_name": "",
        "source": UNKNOWN_SOURCE,
        "existence": 0,
    }
    if identity := _UNIPROT_ID.fullmatch(id):
        fields |= {"source": _UNIPROT_SOURCES[identity[1]], "entry_name": identity[2]}
    if _FIELD.search(rest):
        return Record(**fields | _uniprot(rest))
    if _UNIREF_ID.fullmatch(id):
        return Record(**fields | _uniref(rest))
    return Record(**fields | _ncbi(rest))


def _uniprot(rest: str) -> dict:
    found = dict(_FIELD.findall(rest))
    name = rest[: _FIELD.search(rest).start()]
    level = found.get("PE", "").strip()
    gene = found.get("GN", "").strip()
    return {
        "name": name.strip(),
        "organism": found.get("OS", "").strip(),
        "taxon": _number(found.get("OX", ""), MAX_TAXON),
        "genes": (gene,) if gene else (),
        "existence": _number(level, EXISTENCE[-1]),
    }


def _uniref(rest: str) -> dict:
    found = dict(_UNIREF_FIELD.findall(rest))
    first = _UNIREF_FIELD.search(rest)
    name = rest[: first.start()] if first else rest
    return {
        "name": name.strip(),
        "organism": found.get("Tax", "").strip(),
        "taxon": _number(found.get("TaxID", ""), MAX_TAXON),
    }


def _ncbi(rest: str) -> dict:
    found = dict(_BRACKETED.findall(rest))
    name = _BRACKETED.sub("", rest).strip()
    organism = found.get("organism", "")
    if not found and (last := _ORGANISM.search(name)):
        name, organism = name[: last.start()], last[1]
    gene = found.get("gene") or found.get("locus_tag") or ""
    return {
        "name": found.get("protein") or name.strip(),
        "organism": organism.strip(),
        "genes": (gene,) if gene else (),
    }


def _number(text: str, most: int) -> int:
    """Parses a number from 0 to `most`; anything else gives 0."""
    text = text.strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) <= 12 else 0
    return number if number <= most else 0
