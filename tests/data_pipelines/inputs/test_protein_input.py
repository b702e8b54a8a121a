"""Cleaning of protein sequences: what is kept, changed, removed and refused."""

import re
from collections import Counter

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.tokenizers import protein_tokenizer


@pytest.mark.parametrize(
    ("text", "sequence", "changes"),
    [
        ("ACDEFGHIKLMNPQRSTVWYUOBZX", "ACDEFGHIKLMNPQRSTVWYUOBZX", {}),
        (" MK\tV\r\nLL \n", "MKVLL", {}),
        ("mKv", "MKV", {"lower case letters": 2}),
        ("M-K..V-", "MKV", {"gaps": 4}),
        ("MKV*", "MKV", {"* at the end": 1}),
        ("MKV*--", "MKV", {"* at the end": 1, "gaps": 2}),
        ("*M*KV**", "XMXKVX", {"* at the end": 1, "* inside, read as X": 3}),
        ("MJj", "MXX", {"J, read as X": 2, "lower case letters": 1}),
    ],
)
def test_each_rule(text, sequence, changes):
    assert clean_protein(text) == (sequence, Counter(changes))


@pytest.mark.parametrize("text", ["", "  \n", "*", "---", ".-*"])
def test_nothing_left_is_refused(text):
    with pytest.raises(ValueError, match="it is empty"):
        clean_protein(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MKV1", "'1' at position 4"),
        (" MK>V", "'>' at position 4"),
        ("M\x00", r"'\\x00' at position 2"),
        # Letters whose upper case would be A to Z.
        ("Mſ", "'ſ' at position 2"),
        ("Mß", "'ß' at position 2"),
        ("ＭKV", "'Ｍ' at position 1"),
    ],
)
def test_what_is_no_amino_acid_is_named_with_its_position(text, message):
    with pytest.raises(ValueError, match=message):
        clean_protein(text)


@given(st.text(alphabet="ACJacxj*-. \n1é") | st.text())
@example("1 A")
@example("1 AC 3\n")
def test_the_result_is_clean_and_no_letter_is_lost(text):
    try:
        sequence, changes = clean_protein(text)
    except ValueError:
        return
    # What is left of the digits are residue numbers: any other digit is refused.
    written = re.sub(r"[\s0-9]", "", text)
    assert len(sequence) == len(written) - changes["gaps"] - changes["* at the end"]
    assert clean_protein(sequence) == (sequence, Counter())
    assert len(protein_tokenizer.encode(sequence)) == len(sequence) + 2
    assert protein_tokenizer.UNK not in protein_tokenizer.encode(sequence)
