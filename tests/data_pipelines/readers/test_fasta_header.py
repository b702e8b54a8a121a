"""Headers as UniProt, UniRef and NCBI write them, and headers of nobody's form."""

import pytest

from data_pipelines.protanno.record import Record
from data_pipelines.readers.fasta_header import header_record

STRAIN = "Saccharomyces x (strain ATCC 1 / S2)"


def known(name, **fields):
    return {"entry_name": "", "source": "unknown", "existence": 0, "name": name} | fields


@pytest.mark.parametrize(
    ("header", "fields"),
    [
        (
            f"sp|P07260|IF4E_YEAST Factor 4E, a=b OS={STRAIN} OX=559292 GN=CDC33 PE=1 SV=2",
            known(
                "Factor 4E, a=b",
                entry_name="IF4E_YEAST",
                source="swissprot",
                organism=STRAIN,
                taxon=559292,
                genes=("CDC33",),
                existence=1,
            ),
        ),
        (
            "tr|A0A0A0|A0A0A0_9HIV1 Uncharacterized protein OS=Virus OX=1 PE=4 SV=1",
            known(
                "Uncharacterized protein",
                entry_name="A0A0A0_9HIV1",
                source="trembl",
                organism="Virus",
                taxon=1,
                existence=4,
            ),
        ),
        ("P1 Name OS=Mus musculus", known("Name", organism="Mus musculus")),
        ("P1 Name OS=Mus OX=mouse PE=9", known("Name", organism="Mus")),
        (
            "UniRef50_P1 Cluster x n=3 Tax=Mus TaxID=10088 RepID=A_MOUSE",
            known("Cluster x", organism="Mus", taxon=10088),
        ),
        (
            "NP_1.1 factor 4E [Saccharomyces cerevisiae S288C]",
            known("factor 4E", organism="Saccharomyces cerevisiae S288C"),
        ),
        (
            "XP_1.1 hypothetical [[Candida] glabrata]",
            known("hypothetical", organism="[Candida] glabrata"),
        ),
        (
            "lcl|NC_1_prot_NP_1 [gene=thrA] [locus_tag=b2] [protein=kinase 1] [location=1..9]",
            known("kinase 1", genes=("thrA",)),
        ),
        ("NP_1.1 p53 [organism=Homo sapiens] [GeneID=7157]", known("p53", organism="Homo sapiens")),
        ("mine made [up] in 2=3", known("made [up] in 2=3")),
        ("mine", known("")),
    ],
)
def test_a_header_is_parsed_into_fields(header, fields):
    id, _, rest = header.partition(" ")
    assert header_record(id, rest, "MKV") == Record(accession=id, sequence="MKV", **fields)
