"""UniProt's statements as its flat file words them, for the formats that store their parts: XML and
JSON.

Evidence tags are texts such as `ECO:0000269|PubMed:1`; the flat file sorts them.
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
    """1…5 for `Predicted` or `4: Predicted`, 0 for nothing.

    Raises:
      Malformed: it is none of UniProt's.
    """
    level = EXISTENCE.get(text.lower().lstrip("12345: "), 0)
    if text and not level:
        raise Malformed(f"its protein existence is {printable(text[:60])!r}, none of UniProt's")
    return level


def tagged(text: str, tags: Iterable[str]) -> str:
    """`Nucleus {ECO:1, ECO:2}`; without tags the text alone."""
    tags = sorted(tags)
    return f"{text} {{{', '.join(tags)}}}" if tags else text


def sentence(text: str, tags: Sequence[str]) -> str:
    """`It binds. {ECO:1}.`: with one stop, as free text has it."""
    text = text if text.endswith(".") else text + "."
    return tagged(text, tags) + ("." if tags else "")


def _of_molecule(molecule: str, text: str) -> str:
    return f"[{molecule}]: {text}" if molecule and text else text


def comment(molecule: str, texts: Iterable[Tagged]) -> str:
    """A FUNCTION or SIMILARITY comment, limited to a molecule unless that is ''."""
    return _of_molecule(molecule, " ".join(sentence(*text) for text in texts if text[0]))


def location_comment(
    molecule: str, positions: Iterable[Sequence[Tagged]], notes: Iterable[Tagged]
) -> str:
    """A SUBCELLULAR LOCATION comment. A place is its location and, where stated, its topology
    and orientation."""
    texts = [
        f"{'; '.join(tagged(*part) for part in position if part[0])}."
        for position in positions
        if any(part[0] for part in position)
    ]
    if note := " ".join(sentence(*text) for text in notes if text[0]):
        texts.append(f"Note={note}")
    return _of_molecule(molecule, " ".join(texts))


def sequence_note(type_: str, original: str, variations: Sequence[str], description: str) -> str:
    """The note of a feature that tells another sequence: `K->A,R: Inactive.`, `A -> V (in
    dbSNP:rs1)`, `Missing`."""
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
    """The comments of one topic without the headings between them: `A.; FUNCTION: B.` → `A. B.`"""
    return text.replace(f"; {heading}: ", " ")
