"""Telling sequences from texts, and the phrasing of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protclip_jax.retrieval.query import Typed, phrased, protein_query, understand

SEQUENCE = "MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (SEQUENCE, Typed("protein", SEQUENCE, "")),
        (f"  {SEQUENCE.lower()}\n", Typed("protein", SEQUENCE.lower(), "")),
        (f"{SEQUENCE}*", Typed("protein", f"{SEQUENCE}*", "")),
        ("MKTAYIAKQR QISFVKSHFS RQLEE", Typed("protein", "MKTAYIAKQRQISFVKSHFSRQLEE", "")),
        (
            "MKTAYIAKQRQISF\nVKSHFSRQLEERLG\r\nLIE",
            Typed("protein", "MKTAYIAKQRQISFVKSHFSRQLEERLGLIE", ""),
        ),
        (">sp|P1|X some protein\nMKT\nAYI\n", Typed("protein", "MKTAYI", "sp|P1|X")),
        (">\nMKT", Typed("protein", "MKT", "")),
        (">only a header", Typed("protein", "", "only")),
        ("zinc-binding protease", Typed("text", "zinc-binding protease", "")),
        ("Phosphoribosyltransferase", Typed("text", "Phosphoribosyltransferase", "")),
        (f"{SEQUENCE}U", Typed("protein", f"{SEQUENCE}U", "")),
        ("kinase", Typed("text", "kinase", "")),
        (
            "DNA GYRASE INHIBITOR PROTEIN OF BACTERIA",
            Typed("text", "DNA GYRASE INHIBITOR PROTEIN OF BACTERIA", ""),
        ),
        (
            "phosphoenolpyruvate carboxykinase",
            Typed("text", "phosphoenolpyruvate carboxykinase", ""),
        ),
        ("FUNCTION: binds ATP", Typed("text", "FUNCTION: binds ATP", "")),
        ("MKT", Typed("text", "MKT", "")),
        ("MKTAYIAKQRQISFVKSHFS1RQLEERL", Typed("text", "MKTAYIAKQRQISFVKSHFS1RQLEERL", "")),
        ("", Typed("text", "", "")),
    ],
)
def test_what_is_typed_is_told_apart(typed, expected):
    assert understand(typed) == expected


@given(st.text() | st.text("ACDEFGHIKLMNPQRSTVWY>\n *-", max_size=200))
def test_whatever_is_typed_is_one_of_both_or_several_records(typed):
    try:
        found = understand(typed)
    except ValueError:
        assert typed.count(">") > 1
    else:
        assert found.kind in ("protein", "text")
        assert found.content == typed.strip() or found.kind == "protein"
        assert not found.content.split()[1:] or found.kind == "text"


def test_several_fasta_records_are_refused():
    with pytest.raises(ValueError, match="several FASTA records"):
        understand(">a\nMKT\n>b\nMKV")


def test_texts_begin_as_training_texts_do():
    assert phrased("kinase") == "PROTEIN NAME: kinase"
    for text in ("PROTEIN NAME: kinase", "FUNCTION: x", "SUBCELLULAR LOCATION: x", "SIMILARITY: x"):
        assert phrased(text) == text
        assert phrased(f" {text}\n") == text
    assert phrased(" kinase ") == "PROTEIN NAME: kinase"
    assert phrased("FUNCTION of life") == "PROTEIN NAME: FUNCTION of life"


def test_a_sequence_is_cleaned_and_changes_are_reported():
    query, changes = protein_query("", "mk-T\nAY*")
    assert (query.kind, query.contents, changes) == (
        "protein",
        ("MKTAY",),
        {"lower case letters": 2, "gaps": 1, "* at the end": 1},
    )
    assert query.name == "protein of 5 residues"
    with pytest.raises(ValueError, match="'1' at position 3"):
        protein_query("", "MK1")
