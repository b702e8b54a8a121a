"""What the lines of an annotation add up to, counted as they are written."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

from protclip_jax.annotate.rows import COLUMNS, SURE
from protclip_jax.retrieval.engine import PROTEINS

SHOWN = 200
"""Proteins that the page lists."""
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


class Summary:
    """Counts of the best hit of each protein, by aspect.

    Attributes:
      least: confidence that a hit must reach.
      outcomes: how many proteins have a sure best hit, none, or one of which that is not known
        (`rows.SURE`).
      spoke: who found the best hits that are written (`Hit.by`).
      named: the organisms of the nearest proteins, and the labels, of the best hits that are
        written.
      confidences, cosines: of the best hits, also of those that are not sure enough.
      shown: the best lines of the first `SHOWN` proteins.
    """

    def __init__(self, least: float):
        self.least = least
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.spoke: dict[str, Counter[str]] = defaultdict(Counter)
        self.named: dict[str, Counter[str]] = defaultdict(Counter)
        self.confidences: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.cosines: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.shown: list[dict[str, str]] = []
        self.proteins = 0
        self._protein, self._aspects = "", set()

    def add(self, line: Sequence[str]) -> None:
        """Counts a line, whose cells are `rows.COLUMNS`; lines of a protein come together."""
        protein, aspect = line[_PLACE["protein"]], line[_PLACE["aspect"]]
        if not self.proteins or protein != self._protein:
            self.proteins += 1
            self._protein, self._aspects = protein, set()
        if aspect not in self._aspects:
            self._aspects.add(aspect)
            self._add_best(dict(zip(COLUMNS, line, strict=True)))

    def _add_best(self, cells: dict[str, str]) -> None:
        aspect = cells["aspect"]
        self.outcomes[aspect][cells["sure"]] += 1
        self.cosines[aspect].append(float(cells["cosine"]))
        if cells["confidence"]:
            self.confidences[aspect].append(float(cells["confidence"]))
        if cells["sure"] != SURE[False]:
            self.spoke[aspect][cells["by"]] += 1
            name = cells["organism"] if aspect == PROTEINS else cells["name"] or cells["id"]
            self.named[aspect][name] += 1
        if self.proteins <= SHOWN:
            self.shown.append(cells)
