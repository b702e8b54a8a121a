"""Organisms and genes as flat files of all ages write them."""

import pytest

from data_pipelines.readers.uniprot.entry import Malformed
from data_pipelines.readers.uniprot.organism import gene_names, scientific_name, taxon_id


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("Homo sapiens (Human).", "Homo sapiens"),
        ("Escherichia coli (strain K12).", "Escherichia coli (strain K12)"),
        ("Candida x (strain A / b) (Yeast) (Old name).", "Candida x (strain A / b)"),
        (
            "Virus z type 1 (isolate HXB2 (group M)) (ABC-1).",
            "Virus z type 1 (isolate HXB2 (group M))",
        ),
        ("Homo sapiens (Human), and Mus musculus (Mouse).", "Homo sapiens"),
        ("", ""),
    ],
)
def test_a_scientific_name_keeps_its_strain_only(written, name):
    assert scientific_name(written) == name


@pytest.mark.parametrize(
    ("written", "names"),
    [
        (
            "Name=thrA {ECO:1, ECO:2|PubMed:3}; Synonyms=Hs, thrD; OrderedLocusNames=b0002;",
            ("thrA", "Hs", "thrD", "b0002"),
        ),
        ("Name=A; Synonyms=B; and Name=C; ORFNames=D, E;", ("A", "B", "C", "D", "E")),
        ("(CALM1 OR CALM) AND (CALM2).", ("CALM1", "CALM", "CALM2")),
        ("THRA.", ("THRA",)),
        ("", ()),
    ],
)
def test_gene_names_come_in_their_order(written, names):
    assert gene_names(written) == names


def test_a_taxon_is_a_number():
    assert (taxon_id("9606"), taxon_id("")) == (9606, 0)
    with pytest.raises(Malformed, match="its taxon is 'human'"):
        taxon_id("human")
