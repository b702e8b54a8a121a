"""What a user's protein sequence means: which letters are kept, changed or removed, and what is no protein."""

import re
from collections import Counter
from typing import NamedTuple

_FOREIGN = re.compile(r"[^A-Za-z*.\-\s]")


class Cleaned(NamedTuple):
    """A sequence as the model reads it, and what was changed to get there."""

    sequence: str
    """Upper-case letters A to Z without J, at least one."""
    changes: Counter
    """How many characters were changed, by kind; empty for a sequence that was clean."""


def clean_protein(text: str) -> Cleaned:
    """A sequence as people write it, made one that ESM-2 has tokens for.

    White space is removed, which counts as no change. Lower case becomes upper case; gaps (`-` and `.`) and one `*` at the
    end (a stop codon) are removed; any other `*` and J (leucine or isoleucine) become X. U, O, B, Z and X are kept.

    Raises:
      ValueError: nothing is left, or a character is none of these. The message says which one and its 1-based position.
    """
    if foreign := _FOREIGN.search(text):
        raise ValueError(f"{foreign[0]!r} at position {foreign.start() + 1} is no amino-acid letter")
    written = "".join(text.split())
    letters = written.replace("-", "").replace(".", "")
    residues = letters.removesuffix("*")
    upper = residues.upper()
    changes = {
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
