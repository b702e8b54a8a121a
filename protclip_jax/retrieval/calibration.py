"""What a cosine is worth: shares of hits that agreed with held-out questions, from a table that
`eval --calibrate` measured."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import is_number, read_json
from data_pipelines.protanno.record import PREFIXES
from protclip_jax.checkpoints.calibration_file import FILE as FILE

FORMAT_VERSION = 1
TEXT, SEQUENCE, LABEL = "text", "sequence", "label"
QUESTIONS = (TEXT, SEQUENCE, LABEL)
"""Kinds: a text or a protein asks for proteins, a protein asks for labels."""
TRAITS = ("family", "function", "ec", "go", "location")
"""What a hit may agree in, the one that an answer shows first in front."""
WORDS = dict(zip(TRAITS, ("family", "function", "EC number", "GO terms", "location"), strict=True))
"""The traits as sentences call them."""
LEAST = 0.5
"""Confidence below which an answer counts as none, unless asked otherwise."""
FEWEST_LABELS = 20
"""Of a library whose hits have confidences. A margin lies above the mean cosine of the library's n
labels, which misses that of many by the spread of their cosines over the square root of n: by 22
% of the spread for 20 labels, by half of it for 4."""
_OF_PREFIX = {
    "name": ("function", "ec", "go"),
    "function": ("function",),
    "location": ("location",),
    "similarity": ("family",),
}
"""By a text's property, the traits that it may ask for."""
_GO = re.compile(r"GO:\d{7}")
_EC = re.compile(r"(?:EC[ :]?)?[1-7](?:\.(?:n?\d+|-)){3}", re.IGNORECASE)
FIX = "remove it and run `python -m eval --calibrate`"
"""For a file that cannot be used."""


class Confidence(NamedTuple):
    """What is known of hits like one.

    Attributes:
      share: of such hits, those that agreed with their question in the trait.
      low: the lower end of its 95 % interval.
      base_rate: the share that agrees of random items.
      questions: held-out questions that such hits were seen for.
    """

    trait: str
    share: float
    low: float
    base_rate: float
    questions: int


class Table(NamedTuple):
    """The measured shares for one kind of question and one trait.

    A hit's score is `weights` · (cosine, margin), where the margin is how far the cosine lies above
    the mean of the question's cosines with a random sample of the items. `edges` [b − 1] part the
    scores into b bins, each with its share, lower end and questions; shares grow with the score.
    """

    question: str
    trait: str
    weights: tuple[float, float]
    edges: tuple[float, ...]
    shares: tuple[float, ...]
    lows: tuple[float, ...]
    questions: tuple[int, ...]
    base_rate: float

    def bins(
        self, cosines: Float[np.ndarray, " h"], margins: Float[np.ndarray, " h"]
    ) -> np.ndarray:
        """The bin of each hit."""
        scores = self.weights[0] * np.asarray(cosines, np.float64) + self.weights[1] * np.asarray(
            margins, np.float64
        )
        return np.searchsorted(np.array(self.edges, np.float64), scores, side="right")

    def confidence(self, cosine: float, margin: float) -> Confidence:
        """What is known of hits with such a cosine and margin."""
        place = int(self.bins(np.array([cosine]), np.array([margin]))[0])
        return Confidence(
            self.trait, self.shares[place], self.lows[place], self.base_rate, self.questions[place]
        )


class Calibration(NamedTuple):
    """The tables of one checkpoint, which `checkpoint`, a fingerprint, names."""

    checkpoint: str
    tables: tuple[Table, ...]

    def of(self, question: str, traits: Sequence[str]) -> list[Table]:
        """The tables for a kind of question, in the order of the traits."""
        known = {table.trait: table for table in self.tables if table.question == question}
        return [known[trait] for trait in traits if trait in known]

    def as_json(self) -> dict:
        """A JSON object that `from_json` reads."""
        tables = [table._asdict() for table in self.tables]
        return {"format_version": FORMAT_VERSION, "checkpoint": self.checkpoint, "tables": tables}

    @classmethod
    def from_json(cls, value: Mapping, *, where: str, fix: str = FIX) -> Self:
        """The tables of a JSON object, which may be a stranger's; `where` names it in messages,
        which end with `fix`.

        Raises:
          UserError: it is of another format, or damaged.
        """
        if value.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"{where} has calibration format {value.get('format_version')!r}, not "
                f"{FORMAT_VERSION}; {fix}."
            )
        try:
            tables = tuple(
                Table(**{name: _frozen(part) for name, part in table.items()})
                for table in value["tables"]
            )
            sound = isinstance(value["checkpoint"], str) and all(map(_is_sound, tables))
        except (KeyError, TypeError, AttributeError):
            sound = False
        if not sound:
            raise UserError(f"{where} is damaged: its calibration is no list of tables; {fix}.")
        return cls(value["checkpoint"], tables)


def read_calibration(path: Path) -> Calibration | None:
    """The tables in a file; None where there is none. Raises UserError where it is damaged."""
    if not path.exists():
        return None
    return Calibration.from_json(read_json(path, fix=FIX), where=str(path))


def recorded_step(path: Path) -> int | None:
    """The step that a file of tables was measured for; None where it does not say. Raises
    UserError where it is damaged."""
    provenance = read_json(path, fix=FIX).get("provenance")
    step = provenance.get("step") if isinstance(provenance, dict) else None
    return step if isinstance(step, int) else None


def stale_sentence(path: Path) -> str:
    """The sentence on tables of other parameters."""
    return f"{path} was measured for another step or model; {FIX}."


def traits_of_text(text: str) -> tuple[str, ...]:
    """The traits that a text asks for, by its prefix; a text without one asks for a function."""
    for name, prefix in PREFIXES.items():
        if text.startswith(f"{prefix}:"):
            return _OF_PREFIX[name]
    return _OF_PREFIX["name"]


def trait_of_id(id: str) -> str | None:
    """`ec` for the id of an enzyme class, `go` for a term's of the Gene Ontology; None for
    others."""
    if _GO.fullmatch(id):
        return "go"
    return "ec" if _EC.fullmatch(id) else None


def traits_of_label(id: str, text: str) -> tuple[str, ...]:
    """The traits of which agreement with a label may have been measured: by its id, then by its
    text's prefix; none for names, which no label was made from."""
    named = trait_of_id(id)
    known = [
        name
        for name, prefix in PREFIXES.items()
        if text.startswith(f"{prefix}:") and name != "name"
    ]
    said = _OF_PREFIX[known[0]] if known else ()
    return ((named,) if named else ()) + said


def _frozen(part: object) -> object:
    return tuple(part) if isinstance(part, list) else part


def _is_sound(table: Table) -> bool:
    shares = [table.shares, table.lows]
    numbers = [
        *table.weights,
        *table.edges,
        *table.shares,
        *table.lows,
        table.base_rate,
        *table.questions,
    ]
    if not all(is_number(number) and math.isfinite(number) for number in numbers):
        return False
    bins = len(table.edges) + 1
    return (
        table.question in QUESTIONS
        and table.trait in TRAITS
        and len(table.weights) == 2
        and all(len(column) == bins for column in [*shares, table.questions])
        and list(table.edges) == sorted(table.edges)
        and all(0 <= share <= 1 for column in shares for share in column)
    )


def to_text(calibration: Calibration, more: Mapping) -> str:
    """The content of `FILE`; `more` is kept beside the tables for readers."""
    return json.dumps(calibration.as_json() | dict(more), indent=2, allow_nan=False) + "\n"
