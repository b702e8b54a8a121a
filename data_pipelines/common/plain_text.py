"""Neutralises untrusted text in outputs, so that terminals and spreadsheets do not act on it."""

import re
from collections.abc import Mapping

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_ACTED_ON = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters except tab and line ends (terminal escapes), and text-direction overrides."""
_FORMULA = re.compile(r"[=+\-@\uff1d\uff0b\uff0d\uff20]")
"""Characters that begin a formula in spreadsheets, and their full-width forms."""


def without_controls(text: str) -> str:
    """Replaces each character that a terminal would act on by U+FFFD."""
    return _ACTED_ON.sub(REPLACEMENT, text)


def plain(value: object) -> object:
    """Applies `without_controls` to every string in a JSON value."""
    if isinstance(value, str):
        return without_controls(value)
    if isinstance(value, Mapping):
        return {plain(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        # Long lists of numbers, such as the weights of a protein, are not visited.
        return value if value and isinstance(value[0], float) else list(map(plain, value))
    return value


def tsv_cell(value: object) -> str:
    """Formats a value as a table cell: on one line, without tabs and controls; '' for None.

    Text that a spreadsheet would compute gets a leading `'`, which spreadsheets hide. Numbers are
    unchanged.
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
