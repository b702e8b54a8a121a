"""One row of a user's input to a model: a protein or a text with its id."""

from typing import NamedTuple

MAX_LETTERS = 1 << 20
"""Of one item: over twenty times the longest known protein. A longer one, such as a chromosome,
is not kept."""

TOO_LONG = f"it has more than {MAX_LETTERS:,} letters"


class Item(NamedTuple):
    """A protein sequence or a text."""

    id: str
    """'' where the input gives none."""
    text: str
    line: int
    """1-based, where it begins."""
    fault: str = ""
    """Why it cannot be used, '' for one that can."""
    name: str = ""
    """What the input calls it beside the id, as the rest of a FASTA header; '' where there is
    nothing."""
