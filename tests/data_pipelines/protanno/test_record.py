import pytest

from data_pipelines.protanno.record import (
    NAMES,
    Record,
    biotext,
    cluster_name,
    coverage,
    property_texts,
    strip_evidence,
    with_names,
)


@pytest.mark.parametrize(
    ("text", "stripped"),
    [
        ("Cytoplasm {ECO:0000305|PubMed:20521085}. Nucleus {ECO:0000255}.", "Cytoplasm. Nucleus."),
        ("Binds DNA. {ECO:0000269|PubMed:1, ECO:0000269|PubMed:2}.", "Binds DNA."),
        (
            "Binds DNA {ECO:0000269|PubMed:1}; a b {ECO:0000305}, c (PubMed:3): d.",
            "Binds DNA; a b, c: d.",
        ),
        ("Acts on X (PubMed:123, PubMed:456). Not on Y (Ref.3, PubMed:7).", "Acts on X. Not on Y."),
        ("A (PubMed:1) (PubMed:2) b. (PubMed:3). {ECO:0000305}.", "A b."),
        ("In worms (e.g. X (PubMed:1)) it binds.", "In worms (e.g. X) it binds."),
        (
            "Cytoplasm (By similarity). Nucleus (Probable).",
            "Cytoplasm (By similarity). Nucleus (Probable).",
        ),
        (
            "Cuts 'Ala-(PubMed)'. Ca(2+) ... and so on.",
            "Cuts 'Ala-(PubMed)'. Ca(2+) ... and so on.",
        ),
        ("Located according to PubMed:18837411.", "Located according to PubMed:18837411."),
        ("[Isoform 2]: Binds {alpha}-x  twice.", "[Isoform 2]: Binds {alpha}-x twice."),
        ("{ECO:0000305}", ""),
        ("", ""),
    ],
)
def test_strip_evidence_removes_tags_and_what_they_leave(text, stripped):
    assert strip_evidence(text) == stripped
    assert strip_evidence(stripped) == stripped


def test_biotext_has_the_present_properties_in_order_without_evidence():
    record = Record(
        accession="P1",
        entry_name="A_B",
        source="trembl",
        sequence="MK",
        existence=3,
        name="Kinase FUNCTION {ECO:0000303|PubMed:1}",
        location="Nucleus {ECO:0000305}.",
        similarity="Belongs to X. {ECO:0000305}.",
    )
    assert list(property_texts(record)) == ["name", "location", "similarity"]
    assert biotext(record) == (
        "PROTEIN NAME: Kinase FUNCTION SUBCELLULAR LOCATION: Nucleus. SIMILARITY: Belongs to X."
    )
    assert coverage(record) == 3
    assert cluster_name(record) == "trembl/C3/R3"


def test_a_text_tells_the_names_that_are_asked_for():
    record = Record(
        accession="P1",
        entry_name="A_B",
        source="swissprot",
        sequence="MK",
        existence=1,
        name="Synthase {ECO:0000303|PubMed:1, ECO:0000305}",
        function="Makes it.",
        other_names=("Syn", "EC 1.14.-.-", "EC 2.7.1.n5", "EC protein", "CD antigen CD4", "EC 6.3"),
    )
    found = {names: biotext(with_names(record, names)) for names in NAMES}
    assert found == {
        "recommended": "PROTEIN NAME: Synthase FUNCTION: Makes it.",
        "all": "PROTEIN NAME: Synthase (Syn) (EC 1.14.-.-) (EC 2.7.1.n5) (EC protein) (CD antigen "
        "CD4) (EC 6.3) "
        "FUNCTION: Makes it.",
        "all_but_ec": "PROTEIN NAME: Synthase (Syn) (EC protein) (CD antigen CD4) FUNCTION: Makes it.",
    }
    for names in NAMES:
        once = with_names(record, names)
        assert with_names(once, names) == once
