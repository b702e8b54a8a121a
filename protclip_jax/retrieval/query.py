"""Queries: texts or proteins, and how typed input is recognised as one or the other."""

import re
from typing import NamedTuple

from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import PREFIXES

SHORTEST_SEQUENCE = 20
"""Minimum number of letters recognised as a protein; nearly all English words are shorter."""
_OF_WORDS = frozenset("bjouz")
"""Letters common in long words (phosphoribosyltransferase) but rare in lower-case sequences."""
SHORTEST_BLOCK = 10
"""Minimum length of the blocks in which sequences are printed."""
_LETTERS = re.compile(r"[A-Za-z*.\-]+")


class Query(NamedTuple):
    """A query.

    Attributes:
      name: identifies the query in the output: an id, or the text itself.
      kind: `text` or `protein`.
      contents: the prompts of a text, whose embeddings are averaged; or one protein sequence.
      typed: the text as typed, to look up among the names of an index; '' to look up nothing.
      text: description for readers of the answer: the text as typed, or the FASTA header after the
        id.
    """

    name: str
    kind: str
    contents: tuple[str, ...]
    typed: str = ""
    text: str = ""


class Typed(NamedTuple):
    """Typed input, recognised as a text or a protein."""

    kind: str
    """`text` or `protein`."""
    content: str
    """The text, or the residues as typed, without a FASTA header."""
    name: str
    """The id of a FASTA header, else ''."""


def understand(typed: str) -> Typed:
    """Recognises typed input as a protein or a text.

    A protein is one FASTA record, or at least `SHORTEST_SEQUENCE` letters in one of two forms: a
    single word, which may contain B, J, O, U and Z only if it is all upper case; or upper-case
    lines or blocks of at least `SHORTEST_BLOCK` letters, of which the last may be shorter.
    Everything else is text; shorter peptides have to be given as FASTA.

    Raises:
      ValueError: the FASTA has several records.
    """
    typed = typed.strip()
    if typed.startswith(">"):
        header, _, rest = typed[1:].partition("\n")
        if "\n>" in f"\n{rest}":
            raise ValueError("it contains several FASTA records; give one protein at a time")
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


def phrased(text: str, property_name: str = "name") -> str:
    """Adds the prefix of the property `property_name` to a text that has no property prefix.

    Training texts begin with such a prefix; the default is `PROTEIN NAME:`. Surrounding white space
    is removed.
    """
    text = text.strip()
    begins = any(text.startswith(f"{prefix}:") for prefix in PREFIXES.values())
    return text if begins else f"{PREFIXES[property_name]}: {text}"


def protein_query(name: str, sequence: str) -> tuple[Query, dict[str, int]]:
    """Cleans a sequence as typed; returns the query and counts of the changes made.

    Raises:
      ValueError: the sequence is not a protein; the message says why.
    """
    cleaned = clean_protein(sequence)
    return Query(
        name or f"protein of {len(cleaned.sequence)} residues", "protein", (cleaned.sequence,)
    ), dict(cleaned.changes)
