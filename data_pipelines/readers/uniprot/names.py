"""A protein's names in the order of UniProt's flat file: recommended name, then all others.

Names of its parts (`Contains:`, `Includes:`) and the word `Fragment` are left out.
"""

import re
from typing import NamedTuple

EC, ALLERGEN, BIOTECH, CD_ANTIGEN = "EC ", "allergen ", "biotech ", "CD antigen "
"""Prefixes in UniProt's TSV export of names that are not full, short or INN names."""

_NAME_END = re.compile(
    r"(?:(?:NAD|NADP|NAD\(P\))(?:\(\+\)|H)?|[ACGU](?:TP|DP|MP)|(?:[\w/+-]+-)?(?:quinone|ubiquinone|plastoquinone|menaquinone)"
    r"|\w+-(?:forming|hydrolyzing|hydrolysing|transporting|binding|dependent|specific|generating)"
    r"|\w+(?:ating|izing|ising)|cytochrome(?: c\d*)?|ferredoxin|flavodoxin|acceptor)"
)
"""Parenthesized endings that belong to enzyme names."""

_PARTS = ("Cleaved into", "Includes", "Contains")
_NO_NAMES = re.compile(r"\[.*|\(Fragments?\)")


class Names(NamedTuple):
    """The recommended name (else the submitted or only one, else '') and the other names."""

    name: str
    others: tuple[str, ...]


def split_names(text: str) -> Names:
    """Splits `Name (Short) (EC 1.1.1.1) (Synonym) [Cleaved into: Part (Other)]` into names.

    A name that itself ends in parentheses looks like a name with a synonym. It is only recognised
    if the parentheses hold a typical ending of a name (`(NADPH)`, see `_NAME_END`).
    """
    end, groups = len(text), []
    while start := last_group(text, end):
        groups.append(text[start:end])
        end = start - 1
    groups.reverse()
    name = text[:end]
    if groups and _NAME_END.fullmatch(groups[0][1:-1]):
        name = f"{name} {groups.pop(0)}"
    return Names(name, tuple(group[1:-1] for group in groups if not _NO_NAMES.fullmatch(group)))


def last_group(text: str, end: int) -> int:
    """Start of the balanced group at the end of `text[:end]` after a space; 0 if there is none."""
    if text.endswith("]", 0, end):
        return max(text.rfind(f" [{part}: ", 0, end) + 1 for part in _PARTS)
    if not text.endswith(")", 0, end):
        return 0
    depth, position = 0, end
    while position > 0:
        position -= 1
        depth += (text[position] == ")") - (text[position] == "(")
        if not depth:
            return position if text[position - 1 : position] == " " else 0
        position = max(text.rfind("(", 0, position), text.rfind(")", 0, position)) + 1
    return 0
