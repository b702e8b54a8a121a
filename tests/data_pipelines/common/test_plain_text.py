"""Text for terminals and spreadsheets, which act on none of it."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.common.plain_text import plain, tsv_cell, without_controls


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("two\n lines\tof \r\n text", "two lines of text"),
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("\t=1+1", "'=1+1"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("+cmd|x", "'+cmd|x"),
        ("-x", "'-x"),
        ("\uff1d1", "'\uff1d1"),
        ("-0.5", "-0.5"),
        (-3, "-3"),
        ("(+)-neomenthol dehydrogenase", "(+)-neomenthol dehydrogenase"),
        ("\x1b[31mred\x9b0m\u202e", "\ufffd[31mred\ufffd0m\ufffd"),
    ],
)
def test_a_cell_is_neither_computed_nor_carried_out(value, cell):
    assert tsv_cell(value) == cell


@given(st.text(max_size=40))
def test_any_cell_is_read_back_as_one(text):
    cell = tsv_cell(text)
    (row,) = csv.reader(io.StringIO(f"{cell}\tend\n"), delimiter="\t", quoting=csv.QUOTE_NONE)
    assert row == [cell, "end"]
    assert without_controls(cell) == cell


def test_json_keeps_its_form():
    value = {"a\x1b": ["x\x07", {"b": ("c\x00", 1, None)}], "weights": [0.5, 1.0], "line": "1\n2"}
    assert plain(value) == {
        "a\ufffd": ["x\ufffd", {"b": ["c\ufffd", 1, None]}],
        "weights": [0.5, 1.0],
        "line": "1\n2",
    }
