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
    """A query: a text, several prompts for the same query, or a protein."""

    model_config = ConfigDict(extra="forbid")

    query: str | list[str] = Field(description="a text or a protein; several texts are averaged")
    kind: Literal[KINDS] = Field(
        "auto",
        description="auto recognises sequences and texts; a property adds its prefix to a text",
    )
    top: int = Field(TOP, ge=1, description="number of hits from each index")
    taxon: list[Annotated[str, Field(max_length=200)]] = Field(
        [],
        max_length=50,
        description="search only proteins of these organisms: NCBI taxonomy ids or prefixes of "
        "scientific names",
    )
    min_confidence: float = Field(
        LEAST, ge=0, le=1, description="minimum confidence of the best hit for a confident answer"
    )
    verbatim: bool = Field(False, description="do not add `PROTEIN NAME:` to a text")


class TracksRequest(BaseModel):
    """A protein, by its id in the index or its sequence, and texts for some of its properties."""

    model_config = ConfigDict(extra="forbid")

    id: str | None = Field(None, description="id of a protein of the index")
    sequence: str | None = Field(None, description="residues of a protein, instead of an id")
    properties: dict[Literal[PROPERTIES], str] = Field(
        description="text of each property, with or without its prefix (`FUNCTION: …`)"
    )
    others: int = Field(
        0,
        ge=0,
        le=MOST_OTHERS,
        description="number of other texts of the index to compare each text with; a property with "
        f"fewer than {FEWEST_OTHERS} has no contrast",
    )


class FastaRequest(BaseModel):
    """Proteins of the index."""

    model_config = ConfigDict(extra="forbid")

    ids: list[Annotated[str, Field(max_length=1000)]] = Field(
        min_length=1, max_length=MOST_IDS, description="ids of hits"
    )


class RequestError(Exception):
    """A request that cannot be answered; the message is one sentence."""

    def __init__(self, sentence: str, status: int = 422):
        super().__init__(sentence)
        self.status = status


def read_query(body: SearchRequest, limits: Limits) -> tuple[Query, dict]:
    """Parses a query; also returns how it was understood, for the page to show.

    Raises:
      RequestError: the query is invalid.
    """
    texts = [body.query] if isinstance(body.query, str) else body.query
    if not texts or not all(text.strip() for text in texts):
        raise RequestError("The query is empty; describe a protein in words, or paste a sequence.")
    if len(texts) > limits.prompts:
        raise RequestError(
            f"The query has {len(texts)} prompts; this server averages at most {limits.prompts}."
        )
    for text in texts:
        _check_unicode(text)
    try:
        can_be_protein = len(texts) == 1 and body.kind in ("auto", "protein")
        typed = understand(texts[0]) if can_be_protein else None
    except ValueError as error:
        raise RequestError(f"The query is invalid: {error}.") from error
    if typed is not None and (body.kind == "protein" or typed.kind == "protein"):
        name = typed.name if typed.kind == "protein" else ""
        return _protein_query(name, typed.content, limits)
    if body.kind == "protein":
        raise RequestError("Only texts can be averaged; search for one protein at a time.")
    if (longest := max(map(len, texts))) > limits.text_letters:
        raise RequestError(
            f"The text has {longest:,} characters; this server accepts at most "
            f"{limits.text_letters:,}."
        )
    name = body.kind if body.kind in PROPERTIES else "name"
    prompts = tuple(texts if body.verbatim else (phrased(text, name) for text in texts))
    is_looked_up = len(texts) == 1 and name == "name"
    understood = {"kind": "text", "asked": prompts}
    return Query("text", "text", prompts, texts[0] if is_looked_up else ""), understood


def _protein_query(name: str, sequence: str, limits: Limits) -> tuple[Query, dict]:
    try:
        query, changes = protein_query(name, sequence)
    except ValueError as error:
        raise RequestError(f"This is not a valid protein sequence: {error}.") from error
    residues = query.contents[0]
    _check_residues(residues, limits)
    understood = {"kind": "protein", "name": name, "sequence": residues}
    return query, understood | {"changes": changes, "doubt": doubt(residues)}


def _check_residues(residues: str, limits: Limits) -> None:
    if len(residues) > limits.residues:
        raise RequestError(
            f"The protein has {len(residues):,} residues; this server accepts at most "
            f"{limits.residues:,}."
        )


def _check_unicode(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            "The text contains half of a character (a lone surrogate); type it again."
        ) from error


def read_tracks(
    body: TracksRequest, engine: SearchEngine, limits: Limits
) -> tuple[str, dict[str, str]]:
    """Returns the clean sequence, and texts with their prefixes in biotext order.

    Raises:
      RequestError: the protein is unknown, or there is no property text.
    """
    if (body.id is None) == (body.sequence is None):
        raise RequestError("Give either the id of a protein of the index or a sequence.")
    sequence = body.sequence if body.id is None else find_protein(engine, body.id)["sequence"]
    if not sequence:
        raise RequestError("The index does not have this protein's sequence; paste it instead.")
    try:
        residues = clean_protein(sequence).sequence
    except ValueError as error:
        raise RequestError(f"This is not a valid protein sequence: {error}.") from error
    _check_residues(residues, limits)
    prefixed = {name: with_prefix(name, body.properties.get(name, "")) for name in PROPERTIES}
    texts = {name: text for name, text in prefixed.items() if text}
    if not texts:
        raise RequestError(
            "There is no property text; give the protein's name, function, location or family."
        )
    for text in texts.values():
        _check_unicode(text)
        if len(text) > limits.text_letters:
            raise RequestError(
                f"A property's text has {len(text):,} characters; this server accepts at most "
                f"{limits.text_letters:,}."
            )
    return residues, texts


def find_protein(engine: SearchEngine, id: str) -> dict:
    """Returns the index's item with that id; raises RequestError if there is none."""
    _check_unicode(id)
    row = None if engine.proteins is None else item_table.row_of(engine.proteins.items, id)
    if row is None:
        raise RequestError(f"The index has no protein {id[:100]}.", status=404)
    return item_table.item_at(engine.proteins.items, row)
