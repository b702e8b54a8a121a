"""Strangers' text as it may leave the program: terminals and spreadsheets act on none of it."""

import re
from collections.abc import Mapping

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ACTED_ON = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters but for tab and line ends, among them the one that begins a terminal's escape
sequences, and those that turn the direction of writing."""
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""What spreadsheets take for the beginning of a formula, also as a full-width form."""


def without_controls(text: str) -> str:
    """The text with U+FFFD for each character that a terminal would act on."""
    return _ACTED_ON.sub(REPLACEMENT, text)


def plain(value: object) -> object:
    """A value for JSON with `without_controls` of every text in it."""
    if isinstance(value, str):
        return without_controls(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        # The weights of a long protein are many numbers.
        return value if value and isinstance(value[0], float) else list(map(plain, value))
    return value


def tsv_cell(value: object) -> str:
    """A value as a cell of a table: on one line, without tabs and controls; '' for None.

    Text that a spreadsheet would compute gets `'` before it, which spreadsheets do not show;
    numbers stay.
    """
    if value is None:
        return ""
    cell = " ".join(without_controls(str(value)).split())
    return f"'{cell}" if _FORMULA.match(cell) and not _is_number(cell) else cell


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
