"""Summary of an annotation, counted while its lines are written."""

from array import array
from collections import Counter, defaultdict
from collections.abc import Sequence

from protclip_jax.annotate.rows import COLUMNS, SURE
from protclip_jax.retrieval.engine import PROTEINS

SHOWN = 200
"""Number of proteins listed on the page."""
_PLACE = {name: place for place, name in enumerate(COLUMNS)}


class Summary:
    """Counts of the best hit of each protein, by aspect.

    Attributes:
      least: minimum confidence of a hit.
      outcomes: number of proteins whose best hit is confident, not confident or of unknown
        confidence (`rows.SURE`).
      sources: sources (`Hit.by`) of the best hits that are written.
      named: organisms or labels of the best hits that are written.
      confidences, cosines: those of all best hits, including hits below the minimum.
      shown: the best line per aspect for each of the first `SHOWN` proteins.
    """

    def __init__(self, least: float):
        self.least = least
        self.outcomes: dict[str, Counter[str]] = defaultdict(Counter)
        self.sources: dict[str, Counter[str]] = defaultdict(Counter)
        self.named: dict[str, Counter[str]] = defaultdict(Counter)
        self.confidences: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.cosines: dict[str, array[float]] = defaultdict(lambda: array("d"))
        self.shown: list[dict[str, str]] = []
        self.proteins = 0
        self._protein, self._aspects = "", set()

    def add(self, line: Sequence[str]) -> None:
        """Counts a line with the cells `rows.COLUMNS`; lines of a protein must be consecutive."""
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
            self.sources[aspect][cells["by"]] += 1
            name = cells["organism"] if aspect == PROTEINS else cells["name"] or cells["id"]
            self.named[aspect][name] += 1
        if self.proteins <= SHOWN:
            self.shown.append(cells)
