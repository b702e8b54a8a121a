"""What is asked: texts or a protein, and how the two are told apart where people type either
into one box."""

import re
from typing import NamedTuple

from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import PREFIXES

SHORTEST_SEQUENCE = 20
"""Letters without a blank that are taken for a protein; nearly all words are shorter."""
_OF_WORDS = frozenset("bjouz")
"""Letters of long names, as phosphoribosyltransferase, that sequences in lower case hardly have."""
SHORTEST_BLOCK = 10
"""Of the blocks in which sequences are printed."""
_LETTERS = re.compile(r"[A-Za-z*.\-]+")


class Query(NamedTuple):
    """A question.

    Attributes:
      name: what the answer is called by: an id, or the text itself.
      kind: `text` or `protein`.
      contents: the prompts of a text, whose embeddings are averaged; a protein's one sequence.
      typed: a text as it was typed, which is looked up among the names of an index; '' where
        nothing is to be looked up.
      text: what the question says, for those who read the answers: a text as it was typed, or what
        a FASTA header says behind the id.
    """

    name: str
    kind: str
    contents: tuple[str, ...]
    typed: str = ""
    text: str = ""


class Typed(NamedTuple):
    """What somebody typed, as it was understood."""

    kind: str
    """`text` or `protein`."""
    content: str
    """The text, or the residues as they were typed, without a FASTA header."""
    name: str
    """Of a FASTA header, else ''."""


def understand(typed: str) -> Typed:
    """Tells a protein from a text: FASTA with one record, or nothing but amino-acid letters in
    sequences' usual forms.

    These are one word of at least `SHORTEST_SEQUENCE` letters, without B, J, O, U and Z unless all
    are capitals, or lines or blocks of capitals of at least `SHORTEST_BLOCK`, the last of which may
    be shorter. Everything else is text; a shorter peptide is given as FASTA.

    Raises:
      ValueError: the FASTA holds several records.
    """
    typed = typed.strip()
    if typed.startswith(">"):
        header, _, rest = typed[1:].partition("\n")
        if "\n>" in f"\n{rest}":
            raise ValueError("it holds several FASTA records; ask for one protein at a time")
        return Typed(
            "protein", "".join(rest.split()), (header.partition("\x01")[0].split() or [""])[0]
        )
    blocks = typed.split()
    joined = "".join(blocks)
    if (
        all(map(_LETTERS.fullmatch, blocks))
        and len(joined) >= SHORTEST_SEQUENCE
        and _are_blocks(blocks)
    ):
        return Typed("protein", joined, "")
    return Typed("text", typed, "")


def _are_blocks(blocks: list[str]) -> bool:
    joined = "".join(blocks)
    one_word = len(blocks) == 1 and _OF_WORDS.isdisjoint(joined.lower())
    return all(len(block) >= SHORTEST_BLOCK for block in blocks[:-1]) and (
        one_word or joined.isupper()
    )


def phrased(text: str, asks_for: str = "name") -> str:
    """A text as training texts begin: with the prefix of a property, `PROTEIN NAME:` unless
    another is asked for, before what begins with none of the properties' prefixes.

    White space around it is removed.
    """
    text = text.strip()
    begins = any(text.startswith(f"{prefix}:") for prefix in PREFIXES.values())
    return text if begins else f"{PREFIXES[asks_for]}: {text}"


def protein_query(name: str, sequence: str) -> tuple[Query, dict[str, int]]:
    """A query of a sequence as people write it, and what was changed in it.

    Raises:
      ValueError: it is no protein; the message says why.
    """
    cleaned = clean_protein(sequence)
    return Query(
        name or f"protein of {len(cleaned.sequence)} residues", "protein", (cleaned.sequence,)
    ), dict(cleaned.changes)
