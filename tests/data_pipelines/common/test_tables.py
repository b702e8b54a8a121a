"""Cells of CSV and TSV: one line, nothing that a spreadsheet runs, and numbers as they are."""

import csv
import io

import pytest

from data_pipelines.common.tables import TableWriter, cell


@pytest.mark.parametrize("mark", ["=", "+", "-", "@", "＝", "＋", "－", "＠"])
def test_a_formula_becomes_text(mark):
    assert cell(f"{mark}HYPERLINK(0)") == f"'{mark}HYPERLINK(0)"
    assert cell(f"\t {mark}1+1") == f"'{mark}1+1"
    assert cell(f"\0{mark}cmd|' /C calc'!A0") == f"'{mark}cmd|' /C calc'!A0"


@pytest.mark.parametrize("number", ["-0.123456", "+1", "-1e-05", "-inf", -3, -0.5])
def test_numbers_keep_their_sign(number):
    assert cell(number) == str(number)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ("", ""),
        (0, "0"),
        ("a\tb\r\nc", "a b c"),
        ("a\x1b[31mb\x00\x85c", "a [31mb c"),
        ("half \ud800 letter", "half letter"),
        ("5'-phosphate = x", "5'-phosphate = x"),
        ("－１", "'－１"),
        ("β-lactamase", "β-lactamase"),
    ],
)
def test_a_cell_is_one_line_of_printable_text(value, written):
    assert cell(value) == written


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_a_table_reads_back_as_its_cells(delimiter):
    rows = [["id", "na,me"], ["=1+1", 'a "b",\tc'], [None, -0.5]]
    file = io.StringIO()
    table = TableWriter(file, delimiter=delimiter)
    for row in rows:
        table.writerow(row)
    read = list(csv.reader(io.StringIO(file.getvalue()), delimiter=delimiter))
    assert read == [["id", "na,me"], ["'=1+1", 'a "b", c'], ["", "-0.5"]]
