"""Undoing the line wrapping of UniProt flat files."""

import re

_MARK_AT_LINE_END = re.compile(r"\n(?:(?<=-\n)(?<! -\n)(?!and |or )|(?<=/\n)(?<! /\n))")
_LAST_WORD_RESIDUES = re.compile(r'(?:^|[ "])[A-Z]+$')
_FIRST_WORD_RESIDUES = re.compile(r'[A-Z]+(?=[ ",]|$)')


def unwrap(text: str) -> str:
    """The text that was wrapped into lines; their outer blanks are dropped.

    UniProt also breaks lines after `-` and `/`. Such a line takes no blank, unless a blank stands
    before the mark (`A -` + `B`) or a hyphen is followed by `and` or `or` (`beta-` + `and
    gamma-type`).
    """
    text = "\n".join([line for line in map(str.strip, text.split("\n")) if line])
    if "-\n" in text or "/\n" in text:
        text = _MARK_AT_LINE_END.sub("", text)
    return text.replace("\n", " ")


def unwrap_residues(text: str) -> str:
    """The same where the text begins with residue letters, up to the first parenthesis, that
    break anywhere."""
    head, parenthesis, rest = text.partition("(")
    first, *lines = head.split("\n")
    for line in map(str.lstrip, lines):
        first = first.rstrip() + line if _in_residues(first.rstrip(), line) else f"{first}\n{line}"
    return unwrap(first + parenthesis + rest)


def _in_residues(text: str, line: str) -> bool:
    return bool(_LAST_WORD_RESIDUES.search(text[-80:]) and _FIRST_WORD_RESIDUES.match(line))
