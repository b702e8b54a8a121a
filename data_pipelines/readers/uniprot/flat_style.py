"""Formats statements the way UniProt's flat file words them; used for XML and JSON.

Evidence tags are strings such as `ECO:0000269|PubMed:1`; the flat file sorts them.
"""

from collections.abc import Iterable, Sequence

from data_pipelines.readers.uniprot.entry import Malformed, printable

EXISTENCE = {
    "evidence at protein level": 1,
    "evidence at transcript level": 2,
    "inferred from homology": 3,
    "predicted": 4,
    "uncertain": 5,
}

Tagged = tuple[str, Sequence[str]]
"""A text and its evidence tags."""


def existence_level(text: str) -> int:
    """Converts `Predicted` or `4: Predicted` to a level from 1 to 5; '' gives 0.

    Raises:
      Malformed: the text is not one of UniProt's levels.
    """
    level = EXISTENCE.get(text.lower().lstrip("12345: "), 0)
    if text and not level:
        raise Malformed(
            f"its protein existence {printable(text[:60])!r} is not one of UniProt's levels"
        )
    return level


def tagged(text: str, tags: Iterable[str]) -> str:
    """Appends the tags: `Nucleus {ECO:1, ECO:2}`; without tags returns the text alone."""
    tags = sorted(tags)
    return f"{text} {{{', '.join(tags)}}}" if tags else text


def sentence(text: str, tags: Sequence[str]) -> str:
    """Ends the text with one period and appends the tags, as in free text: `It binds. {ECO:1}.`"""
    text = text if text.endswith(".") else text + "."
    return tagged(text, tags) + ("." if tags else "")


def _of_molecule(molecule: str, text: str) -> str:
    return f"[{molecule}]: {text}" if molecule and text else text


def comment(molecule: str, texts: Iterable[Tagged]) -> str:
    """A FUNCTION or SIMILARITY comment, limited to a molecule if one is given."""
    return _of_molecule(molecule, " ".join(sentence(*text) for text in texts if text[0]))


def location_comment(
    molecule: str, positions: Iterable[Sequence[Tagged]], notes: Iterable[Tagged]
) -> str:
    """A SUBCELLULAR LOCATION comment; a position is a location, perhaps with topology etc."""
    places = map(_place, positions)
    texts = [f"{place}." for place in places if place]
    if note := " ".join(sentence(*text) for text in notes if text[0]):
        texts.append(f"Note={note}")
    return _of_molecule(molecule, " ".join(texts))


def _place(parts: Iterable[Tagged]) -> str:
    return "; ".join(tagged(*part) for part in parts if part[0])


def sequence_note(type_: str, original: str, variations: Sequence[str], description: str) -> str:
    """The note of a sequence change: `K->A,R: Inactive.`, `A -> V (in dbSNP:rs1)`, `Missing`."""
    mutated = type_ == "MUTAGEN"
    change = "Missing"
    if original and variations:
        arrow = "->" if mutated else " -> "
        between = " or " if type_ == "CONFLICT" else ","
        change = f"{original}{arrow}{between.join(variations)}"
    if not description:
        return change
    return f"{change}: {description}" if mutated else f"{change} ({description})"


def comments(text: str, heading: str) -> str:
    """Joins the comments of one topic, without headings in between: `A.; FUNCTION: B.` → `A. B.`"""
    return text.replace(f"; {heading}: ", " ")
