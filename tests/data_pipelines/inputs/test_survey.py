"""The first pass: everything is counted, told, and the rejected are listed."""

import csv
from pathlib import Path

import pytest

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.survey import Measured, take_survey


def measure(text):
    return Measured(min(len(text), 5), len(text) > 5)


def survey(tmp_path, content, *, form="fasta", modality="protein"):
    path = tmp_path / "input"
    path.write_text(content)
    source = Source(path=path, format=form, modality=modality)
    return take_survey(source, measure=measure, rejects=tmp_path / "rejects.tsv")


def test_everything_is_counted_and_reported(tmp_path):
    taken = survey(tmp_path, ">a\nmk-\n>a\nmk\n>\nMKVLLL\n>bad\nM1\n>a\n\n>e\nAC\n")
    assert (taken.items, taken.rejected, taken.usable, taken.tokens) == (6, 2, 4, 2 + 2 + 5 + 2)
    lines = taken.describe("protein", long_items="are cut", rejects=Path("r.tsv"))
    assert lines == [
        "4 proteins, 11 tokens.",
        "cleaned: 1 with gaps.",
        "cleaned: 2 with lower case letters.",
        "long: 1 are cut.",
        "ids: 2 are duplicates and get the suffixes _2, _3, ….",
        "ids: 1 are empty; the items are named by position.",
        "rejected: 2 of 6, listed with line and reason in r.tsv.",
    ]
    with open(tmp_path / "rejects.tsv", newline="") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    assert rows == [
        ["id", "line", "reason"],
        ["bad", "7", "'1' at position 2 is not an amino-acid letter"],
        ["a", "9", "it is empty"],
    ]


def test_nothing_unusual_is_one_line(tmp_path):
    taken = survey(tmp_path, ">a\nMK\n")
    assert taken.describe("protein", long_items="", rejects=Path()) == ["1 protein, 2 tokens."]


def test_an_input_without_anything_usable_is_refused(tmp_path):
    with pytest.raises(UserError, match="no usable proteins; .*a in line 1: it is empty"):
        survey(tmp_path, ">a\n>b\n>c\nM1\n")
    with pytest.raises(UserError, match=r"no usable texts\.$"):
        survey(tmp_path, "", form="lines", modality="text")
