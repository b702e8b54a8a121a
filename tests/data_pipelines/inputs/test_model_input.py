"""From a file to clean, named items."""

from collections import Counter
from pathlib import Path

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.model_input import Prepared, Source, format_of


def prepared(tmp_path, content, **options):
    path = tmp_path / "input"
    path.write_text(content)
    return list(Source(path=path, **options).prepared())


def test_proteins_are_cleaned_named_and_judged(tmp_path):
    content = ">a\nmk\n>\nAC\n>\nM1\n>d\n"
    assert prepared(tmp_path, content, format="fasta", modality="protein") == [
        Prepared("a", "MK", 1, "", Counter({"lower case letters": 2}), False, written="mk"),
        Prepared("sequence_2", "AC", 3, "", Counter(), True, written="AC"),
        Prepared(
            "sequence_3",
            "",
            5,
            "'1' at position 2 is not an amino-acid letter",
            Counter(),
            True,
            written="M1 ",
        ),
        Prepared("d", "", 7, "it is empty", Counter(), False),
    ]


def test_texts_are_read_from_lines_and_tables(tmp_path):
    first, blank, last = prepared(
        tmp_path, "Binds DNA.\n \n* café", format="lines", modality="text"
    )
    assert (first.id, first.text, last.id, last.text) == ("1", "Binds DNA.", "3", "* café")
    assert blank.fault == "it is empty"
    (row,) = prepared(
        tmp_path, "name,text\n,  b \n", format="csv", modality="text", id_column="name"
    )
    assert (row.id, row.text, row.nameless) == ("text_1", "b", True)
    (row,) = prepared(tmp_path, "a\tb\n1\tMK\n", format="tsv", modality="protein", column="b")
    assert row.text == "MK"
    (row,) = prepared(tmp_path, "id,text\nshort\n", format="csv", modality="text")
    assert row.id == "text_1"
    assert "1 fields" in row.fault


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("a.fasta", "fasta"),
        ("a.b.FAA", "fasta"),
        ("a.fsa.gz", "fasta"),
        ("a.csv", "csv"),
        ("a.tsv.gz", "tsv"),
        ("a.txt", "lines"),
    ],
)
def test_the_name_tells_the_format(name, message):
    assert format_of(Path(name)) == message


@pytest.mark.parametrize("name", ["fasta", "a.xlsx", "a.gz", "a.fasta.zip"])
def test_an_unknown_name_is_refused(name):
    with pytest.raises(UserError, match="unknown format"):
        format_of(Path(name))
