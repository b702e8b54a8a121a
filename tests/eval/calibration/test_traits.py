"""What records agree in, and what they say nothing of."""

import numpy as np

from data_pipelines.protanno.record import Record
from eval.calibration.traits import (
    TRAITS,
    agreement,
    enzyme_classes,
    families,
    function_words,
    go_terms,
    locations,
)

BY_NAME = {trait.name: trait for trait in TRAITS}


def record(**texts):
    return Record("P", "", "unknown", "MKV", 0, texts.pop("name", ""), **texts)


def test_what_a_record_says_of_each_trait():
    known = record(
        name="Putative alcohol dehydrogenase {ECO:1}",
        function="Oxidises the alcohol.",
        location="[Isoform 1]: Plastid, chloroplast stroma {ECO:1}. Cell membrane; Lipid-anchor. "
        "Note=In the nucleus. Often.",
        similarity="Belongs to the peptidase S8 family. Furin subfamily. {ECO:1}. Contains 1 X domain.",
        other_names=("EC 1.1.1.1", "EC 2.7.-.-", "EC 1.1.1.n5"),
        go=("GO:0000001",),
    )
    assert families(known) == {"peptidase s8 family"}
    assert families(record(similarity="Of its own kind.")) == {"of its own kind."}
    assert locations(known) == {"plastid", "cell membrane"}
    assert function_words(known) == {"alcohol", "dehydrogenase", "oxidises"}
    assert enzyme_classes(known) == {"1.1.1"}
    assert go_terms(known) == {"GO:0000001"}
    assert all(trait.said(record()) == frozenset() for trait in TRAITS)


def test_what_is_not_said_is_no_disagreement():
    asked = [record(location="Nucleus."), record()]
    items = [record(location="Nucleus, nucleolus."), record(location="Cytoplasm."), record()]
    found = agreement(BY_NAME["location"], asked, items)
    assert found.known.tolist() == [[True, True, False], [False] * 3]
    assert found.agrees.tolist() == [[True, False, False], [False] * 3]


def test_half_of_all_terms_or_a_third_of_all_words_must_be_the_same():
    terms = [frozenset("ab"), frozenset("abc"), frozenset("ade")]
    records = [record(go=tuple(sorted(names))) for names in terms]
    expected = []
    for a in terms:
        expected.append([len(a & b) >= len(a | b) / 2 for b in terms])
    assert agreement(BY_NAME["go"], records, records).agrees.tolist() == expected
    words = [
        record(name=name)
        for name in ("zinc kinase one", "zinc kinase two", "iron kinase two", "copper pump")
    ]
    assert agreement(BY_NAME["function"], words[:1], words).agrees.tolist() == [
        [True, True, False, False]
    ]
    assert np.diag(agreement(BY_NAME["function"], words, words).agrees).all()
