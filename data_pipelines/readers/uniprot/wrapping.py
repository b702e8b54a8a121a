"""Undoes the line wrapping of UniProt flat files."""

import re

_MARK_AT_LINE_END = re.compile(r"\n(?:(?<=-\n)(?<! -\n)(?!and |or )|(?<=/\n)(?<! /\n))")
_LAST_WORD_RESIDUES = re.compile(r'(?:^|[ "])[A-Z]+$')
_FIRST_WORD_RESIDUES = re.compile(r'[A-Z]+(?=[ ",]|$)')


def unwrap(text: str) -> str:
    """Joins wrapped lines into one text; strips spaces around each line.

    UniProt also breaks lines after `-` and `/`. These lines are joined without a space, unless a
    space precedes the mark (`A -` + `B`) or a hyphen is followed by `and` or `or` (`beta-` +
    `and gamma-type`).
    """
    text = "\n".join([line for line in map(str.strip, text.split("\n")) if line])
    if "-\n" in text or "/\n" in text:
        text = _MARK_AT_LINE_END.sub("", text)
    return text.replace("\n", " ")


def unwrap_residues(text: str) -> str:
    """Like `unwrap`, for a text that starts with residue letters, which break anywhere.

    The residues end at the first parenthesis.
    """
    head, parenthesis, rest = text.partition("(")
    first, *lines = head.split("\n")
    for line in map(str.lstrip, lines):
        first = first.rstrip() + line if _in_residues(first.rstrip(), line) else f"{first}\n{line}"
    return unwrap(first + parenthesis + rest)


def _in_residues(text: str, line: str) -> bool:
    return bool(_LAST_WORD_RESIDUES.search(text[-80:]) and _FIRST_WORD_RESIDUES.match(line))
