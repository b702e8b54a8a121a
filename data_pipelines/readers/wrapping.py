"""Undoing the line wrapping of UniProt flat files."""

import re
from collections.abc import Iterable

_LAST_WORD_RESIDUES = re.compile(r'(?:^|[ "])[A-Z]+$')
_FIRST_WORD_RESIDUES = re.compile(r'[A-Z]+(?=[ ",]|$)')


def join_lines(lines: Iterable[str], *, residues: bool = False) -> str:
    """The text that was wrapped into `lines` (each without prefix and outer blanks).

    UniProt also breaks lines after `-` and `/`. Such a line takes no blank, unless a blank stands before the mark (`A -`
    + `B`) or a hyphen is followed by `and` or `or` (`beta-` + `and gamma-type`).

    Args:
      residues: the text begins with residue letters, up to the first parenthesis, that break anywhere.
    """
    text = ""
    for line in lines:
        text += line if not text or _continues(text, line) or (residues and _in_residues(text, line)) else " " + line
    return text


def _continues(text: str, line: str) -> bool:
    if text[-1] == "-":
        return text[-2:] != " -" and not line.startswith(("and ", "or "))
    return text[-1] == "/" and text[-2:] != " /"


def _in_residues(text: str, line: str) -> bool:
    return "(" not in text and bool(_LAST_WORD_RESIDUES.search(text[-80:]) and _FIRST_WORD_RESIDUES.match(line))
