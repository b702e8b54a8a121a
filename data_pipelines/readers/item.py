"""One row of a user's input to a model: a protein or a text with its id."""

from typing import NamedTuple

MAX_LETTERS = 1 << 20
"""Limit per item, over twenty times the longest known protein; longer texts are dropped."""

TOO_LONG = f"it has more than {MAX_LETTERS:,} letters"


class Item(NamedTuple):
    """A protein sequence or a text."""

    id: str
    """'' if the input gives none."""
    text: str
    line: int
    """1-based line of its start."""
    fault: str = ""
    """Why the item cannot be used; '' if it can."""
    name: str = ""
    """Its name in the input besides the id, such as the rest of a FASTA header; may be ''."""
