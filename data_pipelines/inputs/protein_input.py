"""Interprets a protein sequence as typed: which letters to keep, change, remove or reject."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

_FOREIGN = re.compile(r"[^A-Za-z*.\-\s]")
_NUMBERS = re.compile(r"(?<!\S)[0-9]+(?:\s+[0-9]+)*(?!\S)")
"""Numbers with only white space around and between them."""
_RULER_STEP = 10


class Cleaned(NamedTuple):
    """A sequence as the model reads it, and what was changed."""

    sequence: str
    """Upper-case letters A to Z without J, at least one."""
    changes: Counter
    """Number of changed characters, by kind; empty if nothing changed."""


def clean_protein(text: str) -> Cleaned:
    """Converts a sequence as people write it to one that ESM-2 has tokens for.

    White space is removed and does not count as a change. Residue numbers beside or above the
    blocks of a sequence, as GenBank and UniProt print them, are removed if they count correctly.
    Lower case becomes upper case. Gaps (`-` and `.`) and one `*` at the end (a stop codon) are
    removed; any other `*`, and J (leucine or isoleucine), becomes X. U, O, B, Z and X are kept.

    Raises:
      ValueError: nothing is left, or there is another character. The message gives the character
        and its 1-based position.

    Example:
        >>> clean_protein("mkv-jla*").sequence
        'MKVXLA'
    """
    foreign, numbers = _FOREIGN.search(text), 0
    if foreign and foreign[0].isdecimal():
        text, numbers = _without_numbers(text)
        foreign = _FOREIGN.search(text)
    if foreign:
        raise ValueError(
            f"{foreign[0]!r} at position {foreign.start() + 1} is not an amino-acid letter"
        )
    written = "".join(text.split())
    letters = written.replace("-", "").replace(".", "")
    residues = letters.removesuffix("*")
    upper = residues.upper()
    changes = {
        "residue numbers": numbers,
        "lower case letters": sum(map(str.islower, residues)) if upper != residues else 0,
        "gaps": len(written) - len(letters),
        "* at the end": len(letters) - len(residues),
        "* inside, read as X": upper.count("*"),
        "J, read as X": upper.count("J"),
    }
    if not upper:
        raise ValueError("it is empty")
    made = Counter({kind: count for kind, count in changes.items() if count})
    return Cleaned(upper.replace("*", "X").replace("J", "X"), made)


def _without_numbers(text: str) -> tuple[str, int]:
    """Replaces correct residue numbers by spaces; also returns how many there are."""
    blanked, residues, end, count = [], 0, 0, 0
    for group in _NUMBERS.finditer(text):
        residues += sum(map(str.isalpha, text[end : group.start()]))
        numbers = [int(digits) for digits in group[0].split()]
        right = _count_right(numbers, before=residues)
        count += len(numbers) * right
        blanked += [text[end : group.start()], " " * len(group[0]) if right else group[0]]
        end = group.end()
    return "".join(blanked) + text[end:], count


def _count_right(numbers: Sequence[int], *, before: int) -> bool:
    """Whether numbers after `before` residues are correct.

    They must be the index of the last or next residue (or both), or a ruler in steps of ten.
    """
    ruler = [before + _RULER_STEP * place for place in range(1, len(numbers) + 1)]
    return list(numbers) in ([before], [before + 1], [before, before + 1], ruler)
