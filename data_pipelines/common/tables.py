"""CSV and TSV that users open in a spreadsheet, every cell through `plain_text.tsv_cell`."""

import csv
from collections.abc import Iterable
from typing import TextIO

from data_pipelines.common.plain_text import tsv_cell

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""By the suffix of a file."""


class TableWriter:
    """Writes rows to an open file; `delimiter` is one of `DELIMITERS`."""

    def __init__(self, file: TextIO, *, delimiter: str = "\t"):
        self._table = csv.writer(file, delimiter=delimiter, lineterminator="\n")

    def writerow(self, values: Iterable[object]) -> None:
        """Writes one row."""
        self._table.writerow(map(tsv_cell, values))
