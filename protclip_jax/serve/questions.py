"""The API's requests, and their validation with errors of one sentence."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import PROPERTIES, with_prefix
from protclip_jax.inference.segment_contrast import FEWEST_OTHERS
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.calibration import LEAST
from protclip_jax.retrieval.engine import TOP, SearchEngine
from protclip_jax.retrieval.query import Query, phrased, protein_query, understand
from protclip_jax.serve.limits import Limits

KINDS = ("auto", "text", "protein", *PROPERTIES)
MOST_OTHERS = 64
"""The maximum number of other texts that a property's text is compared with."""
MOST_IDS = 1000
"""The maximum number of proteins of one FASTA file."""


class SearchRequest(BaseModel):
    """A question: a text, several prompts for the same question, or a protein."""

    model_config = ConfigDict(extra="forbid")

    query: str | list[str] = Field(description="a text or a protein; several texts are averaged")
    kind: Literal[KINDS] = Field(
        "auto",
        description="auto tells a sequence from a text; a property asks a text with its prefix",
    )
    top: int = Field(TOP, ge=1, description="hits wanted from each index")
    taxon: list[Annotated[str, Field(max_length=200)]] = Field(
        [],
        max_length=50,
        description="only proteins of these: ids of NCBI's taxonomy, or how scientific names begin",
    )
    min_confidence: float = Field(
        LEAST, ge=0, le=1, description="a best hit below it counts as no confident answer"
    )
    verbatim: bool = Field(False, description="ask a text without `PROTEIN NAME:` before it")


class TracksRequest(BaseModel):
    """A protein, by its id in the index or its sequence, and texts for some of its properties."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="of a protein of the index")
    sequence: str | None = Field(None, description="in the place of an id")
    properties: dict[Literal[PROPERTIES], str] = Field(
        description="content, with or without its prefix (`FUNCTION: …`)"
    )
    others: int = Field(
        0,
        ge=0,
        le=MOST_OTHERS,
        description="also compare each text with so many of the index's other texts; a property "
        f"with fewer than {FEWEST_OTHERS} has no contrast",
    )


class FastaRequest(BaseModel):
    """Proteins of the index."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=1000)]] = Field(
        min_length=1, max_length=MOST_IDS, description="as hits have them"
    )


class Mistake(Exception):
    """A question that cannot be answered; the message is one sentence."""

    def __init__(self, sentence: str, status: int = 422):
        super().__init__(sentence)
        self.status = status


def read_question(asked: SearchRequest, limits: Limits) -> tuple[Query, dict]:
    """Parses a question; also returns how it was understood, for the page to show.

    Raises:
      Mistake: the question is invalid.
    """
    texts = [asked.query] if isinstance(asked.query, str) else asked.query
    if not texts or not all(text.strip() for text in texts):
        raise Mistake("The question is empty: describe a protein in words, or paste a sequence.")
    if len(texts) > limits.prompts:
        raise Mistake(f"There are {len(texts)} prompts; at most {limits.prompts} are averaged.")
    for text in texts:
        _check_unicode(text)
    try:
        can_be_protein = len(texts) == 1 and asked.kind in ("auto", "protein")
        typed = understand(texts[0]) if can_be_protein else None
    except ValueError as error:
        raise Mistake(f"This cannot be asked: {error}.") from error
    if typed is not None and (asked.kind == "protein" or typed.kind == "protein"):
        name = typed.name if typed.kind == "protein" else ""
        return _protein_question(name, typed.content, limits)
    if asked.kind == "protein":
        raise Mistake("Only texts can be averaged; ask for one protein at a time.")
    if (longest := max(map(len, texts))) > limits.text_letters:
        raise Mistake(
            f"The text has {longest:,} letters; at most {limits.text_letters:,} can be asked."
        )
    asks_for = asked.kind if asked.kind in PROPERTIES else "name"
    prompts = tuple(texts if asked.verbatim else (phrased(text, asks_for) for text in texts))
    is_looked_up = len(texts) == 1 and asks_for == "name"
    understood = {"kind": "text", "asked": prompts}
    return Query("text", "text", prompts, texts[0] if is_looked_up else ""), understood


def _protein_question(name: str, sequence: str, limits: Limits) -> tuple[Query, dict]:
    try:
        question, changes = protein_query(name, sequence)
    except ValueError as error:
        raise Mistake(f"This is no protein sequence: {error}.") from error
    residues = question.contents[0]
    _check_residues(residues, limits)
    understood = {"kind": "protein", "name": name, "sequence": residues}
    return question, understood | {"changes": changes, "doubt": doubt(residues)}


def _check_residues(residues: str, limits: Limits) -> None:
    if len(residues) > limits.residues:
        raise Mistake(
            f"The protein has {len(residues):,} residues; this server takes at most "
            f"{limits.residues:,}."
        )


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise Mistake(
            "The text holds half of a character (a lone surrogate); type it again."
        ) from error


def read_tracks(
    asked: TracksRequest, engine: SearchEngine, limits: Limits
) -> tuple[str, dict[str, str]]:
    """Returns the clean sequence, and texts with their prefixes in biotext order.

    Raises:
      Mistake: there is no such protein, or it has no text to weigh its residues for.
    """
    if (asked.id is None) == (asked.sequence is None):
        raise Mistake("Give the id of a protein of the index, or a sequence.")
    sequence = asked.sequence if asked.id is None else find_protein(engine, asked.id)["sequence"]
    if not sequence:
        raise Mistake("The index does not hold this protein's sequence; paste it instead.")
    try:
        residues = clean_protein(sequence).sequence
    except ValueError as error:
        raise Mistake(f"This is no protein sequence: {error}.") from error
    _check_residues(residues, limits)
    texts = {
        name: text
        for name in PROPERTIES
        if (text := with_prefix(name, asked.properties.get(name, "")))
    }
    if not texts:
        raise Mistake(
            "There is no property text; say what the protein's name, function, location or "
            "family is."
        )
    for text in texts.values():
        _check_unicode(text)
        if len(text) > limits.text_letters:
            raise Mistake(
                f"A property's text has {len(text):,} letters; at most "
                f"{limits.text_letters:,} can be read."
            )
    return residues, texts


def find_protein(engine: SearchEngine, id: str) -> dict:
    """Returns the index's item with that id; raises Mistake if there is none."""
    _check_unicode(id)
    row = None if engine.proteins is None else item_table.row_of(engine.proteins.items, id)
    if row is None:
        raise Mistake(f"The index holds no protein {id[:100]}.", status=404)
    return item_table.item_at(engine.proteins.items, row)
