"""Tables that users open in a spreadsheet: CSV and TSV whose cells are text and never formulas.

A spreadsheet runs a cell that begins with `=`, `+`, `-` or `@` as a formula, and names in FASTA
files and databases come from anybody. OWASP's rule ("CSV Injection") puts an apostrophe before
such a cell; numbers keep their sign.
"""

import csv
from collections.abc import Iterable
from typing import TextIO

DELIMITERS = {".csv": ",", ".tsv": "\t"}
"""By the suffix of a file."""
_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
"""How a formula begins; some spreadsheets take the wide forms too."""


def line(text: str) -> str:
    """A text on one line without control characters: each run of these and of white space becomes
    a blank."""
    if not text.isprintable():
        text = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(text.split())


def cell(value: object) -> str:
    """A value as a cell: on one line, without control characters, and never a formula.

    '' for None. White space and control characters, such as tabs, become single blanks. Text that
    begins a formula gets an apostrophe in front, unless it is a number.
    """
    if value is None:
        return ""
    text = line(str(value))
    return f"'{text}" if text.startswith(_FORMULA) and not _is_number(text) else text


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii()


class TableWriter:
    """Writes rows to an open file, every value through `cell`; `delimiter` is one of
    `DELIMITERS`."""

    def __init__(self, file: TextIO, *, delimiter: str = "\t"):
        self._table = csv.writer(file, delimiter=delimiter, lineterminator="\n")

    def writerow(self, values: Iterable[object]) -> None:
        """Writes one row."""
        self._table.writerow(map(cell, values))
