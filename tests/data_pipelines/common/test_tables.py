"""Rows of CSV and TSV read back as their cells, and none is a formula."""

import csv
import io

import pytest

from data_pipelines.common.tables import TableWriter


@pytest.mark.parametrize("delimiter", ["\t", ","])
def test_a_table_reads_back_as_its_cells(delimiter):
    rows = [["id", "na,me"], ["=1+1", 'a "b",\tc'], [None, -0.5], ["-0.25", "－１ "]]
    file = io.StringIO()
    table = TableWriter(file, delimiter=delimiter)
    for row in rows:
        table.writerow(row)
    read = list(csv.reader(io.StringIO(file.getvalue()), delimiter=delimiter))
    expected = [["id", "na,me"], ["'=1+1", 'a "b", c'], ["", "-0.5"], ["-0.25", "'－１"]]
    assert read == expected
