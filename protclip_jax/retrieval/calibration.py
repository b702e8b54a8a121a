"""Calibrated confidence: fractions of hits that agreed with held-out queries.

`eval --calibrate` measures the tables.
"""

import itertools
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
"""Kinds of queries: a text or a protein searches proteins; a protein searches labels."""
TRAITS = ("family", "function", "ec", "go", "location")
"""Traits in which a hit can agree with its query, in the order in which answers show them."""
WORDS = dict(zip(TRAITS, ("family", "function", "EC number", "GO terms", "location"), strict=True))
"""Names of the traits in sentences."""
LEAST = 0.5
"""Default minimum confidence; an answer whose best hit is below it counts as not confident."""
FEWEST_LABELS = 20
"""Minimum size of a library whose hits get confidences.

A margin is relative to the mean cosine of the library's n labels. The standard error of that mean
is the standard deviation of the cosines over √n: 22 % of it for 20 labels, half of it for 4.
"""
_OF_PREFIX = {
    "name": ("function", "ec", "go"),
    "function": ("function",),
    "location": ("location",),
    "similarity": ("family",),
}
"""Maps the property in a text to the traits that the text can search for."""
_GO = re.compile(r"GO:\d{7}")
_EC = re.compile(r"(?:EC[ :]?)?[1-7](?:\.(?:n?\d+|-)){3}", re.IGNORECASE)
FIX = "remove it and run `python -m eval --calibrate`"
"""Fix for an unusable calibration file, for messages."""


class Confidence(NamedTuple):
    """The measured agreement of hits with a comparable score.

    Attributes:
      share: fraction of these hits that agreed with their query in the trait.
      low: lower bound of the 95 % interval of `share`.
      base_rate: fraction of random items that agree.
      questions: number of held-out queries with such hits.
    """

    trait: str
    share: float
    low: float
    base_rate: float
    questions: int


class Table(NamedTuple):
    """Measured agreement for one kind of query and one trait.

    A hit's score is `weights` · (cosine, margin), where the margin is the cosine minus the query's
    mean cosine with a random sample of the items. `edges` [b − 1] divide the scores into b bins,
    each with its share, lower bound and number of queries. Shares increase with the score.
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
        """The confidence of hits with this cosine and margin."""
        place = int(self.bins(np.array([cosine]), np.array([margin]))[0])
        return Confidence(
            self.trait, self.shares[place], self.lows[place], self.base_rate, self.questions[place]
        )


class Calibration(NamedTuple):
    """The tables of one checkpoint, identified by its fingerprint `checkpoint`."""

    checkpoint: str
    tables: tuple[Table, ...]

    def of(self, question: str, traits: Sequence[str]) -> list[Table]:
        """The tables for a kind of query, in the order of `traits`."""
        known = {table.trait: table for table in self.tables if table.question == question}
        return [known[trait] for trait in traits if trait in known]

    def as_json(self) -> dict:
        """Converts the calibration to a JSON object that `from_json` reads."""
        tables = [table._asdict() for table in self.tables]
        return {"format_version": FORMAT_VERSION, "checkpoint": self.checkpoint, "tables": tables}

    @classmethod
    def from_json(cls, value: Mapping, *, where: str, fix: str = FIX) -> Self:
        """Validates a JSON object from an untrusted file and returns its tables.

        Args:
          where: name of the source, for messages.
          fix: end of every message.

        Raises:
          UserError: the format version is unknown, or the object is malformed.
        """
        if value.get("format_version") != FORMAT_VERSION:
            raise UserError(
                f"{where} has calibration format {value.get('format_version')!r}; expected "
                f"{FORMAT_VERSION}; {fix}."
            )
        try:
            tables = tuple(map(_table, value["tables"]))
            is_valid = isinstance(value["checkpoint"], str) and all(map(_is_valid, tables))
        except (KeyError, TypeError, AttributeError):
            is_valid = False
        if not is_valid:
            raise UserError(f"{where} is damaged: its calibration tables are invalid; {fix}.")
        return cls(value["checkpoint"], tables)


def read_calibration(path: Path) -> Calibration | None:
    """Reads the tables of a file; None if it does not exist. Raises UserError if it is damaged."""
    if not path.exists():
        return None
    return Calibration.from_json(read_json(path, fix=FIX), where=str(path))


def recorded_step(path: Path) -> int | None:
    """The step that a calibration file was measured for; None if it is not recorded.

    Raises:
      UserError: the file is damaged.
    """
    provenance = read_json(path, fix=FIX).get("provenance")
    step = provenance.get("step") if isinstance(provenance, dict) else None
    return step if isinstance(step, int) else None


def stale_sentence(path: Path) -> str:
    """The warning about a calibration of other parameters."""
    return f"{path} was measured for another step or model; {FIX}."


def traits_of_text(text: str) -> tuple[str, ...]:
    """The traits that a text searches for, by its prefix; without one, those of a protein name."""
    for name, prefix in PREFIXES.items():
        if text.startswith(f"{prefix}:"):
            return _OF_PREFIX[name]
    return _OF_PREFIX["name"]


def trait_of_id(id: str) -> str | None:
    """`ec` for an EC number, `go` for a Gene Ontology term, else None."""
    if _GO.fullmatch(id):
        return "go"
    return "ec" if _EC.fullmatch(id) else None


def traits_of_label(id: str, text: str) -> tuple[str, ...]:
    """The traits for which agreement with a label can be measured: by its id, then by its prefix.

    Names have no trait, because calibration uses no labels made from them.
    """
    of_id = trait_of_id(id)
    known = [
        name
        for name, prefix in PREFIXES.items()
        if text.startswith(f"{prefix}:") and name != "name"
    ]
    of_prefix = _OF_PREFIX[known[0]] if known else ()
    return ((of_id,) if of_id else ()) + of_prefix


def _table(entry: Mapping) -> Table:
    return Table(**{name: _frozen(part) for name, part in entry.items()})


def _frozen(part: object) -> object:
    return tuple(part) if isinstance(part, list) else part


def _is_valid(table: Table) -> bool:
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
    is_complete = all(len(column) == bins for column in [*shares, table.questions])
    return (
        table.question in QUESTIONS
        and table.trait in TRAITS
        and len(table.weights) == 2
        and is_complete
        and list(table.edges) == sorted(table.edges)
        and all(0 <= share <= 1 for share in itertools.chain(*shares))
    )


def to_text(calibration: Calibration, more: Mapping) -> str:
    """Formats the content of `FILE`; `more` adds entries to those of the tables."""
    return json.dumps(calibration.as_json() | dict(more), indent=2, allow_nan=False) + "\n"
