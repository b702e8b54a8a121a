"""The swap test: do PDA weights follow the text when two texts point to two places of a protein?

The places are two ligands' sites, two domains, or a signal peptide and a membrane helix. Only the
text says which of the two is meant: a model that ignores it gives both texts the same weights and
scores exactly 0, however well it knows where such places lie.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.record import PREFIXES, Feature, Record
from eval.metrics.statistics import auroc, bootstrap_interval
from eval.pretraining.evaluation import Evaluation, Model
from eval.pretraining.pool import fixed_pool
from eval.pretraining.trained_baselines import TrainedBaselines

PROPERTIES = ("function", "location", "similarity")
SECTION = """## Swapped texts within a protein (PDA)

{verdicts}

{table}

Proteins of a pool of {pool} records of the split `{split}` with two annotated places of one
property: two ligands, two domains, or a signal peptide and a membrane helix. Each place's text is
given alone. The score is the AUROC of the first text's weights for the first place among the
residues of both, plus that of the second text's for the second place, minus 1: from −1 to 1. A
model that ignores the text has exactly 0. In brackets: 95 % bootstrap intervals over proteins."""


class Swap(NamedTuple):
    """A protein with two places of a property: the text for each, and their residues [L].

    The places do not overlap.
    """

    record: Record
    property: str
    texts: tuple[str, str]
    places: tuple[Bool[np.ndarray, " L"], Bool[np.ndarray, " L"]]


def ligand(feature: Feature) -> str:
    """The text for a binding site, '' for another feature: its note begins with the ligand."""
    name = feature.note.partition(";")[0].strip()
    return f"{PREFIXES['function']}: Binds {name}." if feature.type == "BINDING" and name else ""


def domain(feature: Feature) -> str:
    """The text for a domain or the blocks of a superfamily, '' for another feature."""
    if feature.type == "DOMAIN" and feature.note:
        return f"{PREFIXES['similarity']}: Contains 1 {feature.note.partition(';')[0]} domain."
    if feature.type == "SITE" and feature.note.endswith("family"):
        return f"{PREFIXES['similarity']}: Belongs to {feature.note.removeprefix('Conserved in ')}."
    return ""


def membrane(feature: Feature) -> str:
    """The text for a signal peptide or a membrane helix, '' for another feature."""
    texts = {"SIGNAL": "Secreted.", "TRANSMEM": "Cell membrane; Single-pass membrane protein."}
    return f"{PREFIXES['location']}: {texts[feature.type]}" if feature.type in texts else ""


POINTING: Mapping[str, Callable[[Feature], str]] = {
    "function": ligand,
    "location": membrane,
    "similarity": domain,
}


def find_swaps(record: Record) -> list[Swap]:
    """For each property with two or more places, the two that cover most residues on their own."""
    swaps = []
    for name, text_of in POINTING.items():
        covered: dict[str, np.ndarray] = {}
        for feature in record.features:
            if text := text_of(feature):
                residues = covered.setdefault(text, np.zeros(len(record.sequence), bool))
                residues[max(feature.start - 1, 0) : feature.end] = True
        largest = sorted(covered, key=lambda text: (-covered[text].sum(), text))[:2]
        if len(largest) == 2:
            first, second = (covered[text] for text in largest)
            places = (first & ~second, second & ~first)
            if places[0].any() and places[1].any():
                swaps.append(Swap(record, name, tuple(largest), places))
    return swaps


def swap_score(
    weights: Sequence[Float[np.ndarray, " _"]], places: Sequence[Bool[np.ndarray, " _"]]
) -> float:
    """AUROC of each text's weights for its own place among both places, summed, minus 1."""
    first, second = places
    either = first | second
    own = zip(weights, places, strict=True)
    return sum(auroc(row[either], place[either]) for row, place in own) - 1


class SegmentSwap(Evaluation):
    """The swap score by property, on a split's first `pool` records with distinct biotexts.

    Only proteins with two places count.
    """

    name = "segment_swap"
    key = "swap"

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 1024, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._split, self._pool = split, len(chosen.records)
        self.swaps = [swap for record in chosen.records for swap in find_swaps(record)]

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean score of each property, NaN without a protein, and over all swaps."""
        scores = self.scores(model)
        means = {f"score_{name}": _mean(scores[self._of(name)]) for name in PROPERTIES}
        return means | {"score": _mean(scores)}

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """Adds the number of proteins and intervals."""
        scores = self.scores(model)
        parts = {name: scores[self._of(name)] for name in PROPERTIES}
        proteins = {name: len(part) for name, part in parts.items()}
        intervals = {name: bootstrap_interval(part) for name, part in parts.items()}
        return {
            "split": self._split,
            "pool": self._pool,
            "proteins": proteins,
            "interval": intervals,
            **self.metrics(model),
        }

    def _of(self, name: str) -> Bool[np.ndarray, " S"]:
        return np.array([swap.property == name for swap in self.swaps], bool)

    def scores(self, model: Model) -> Float[np.ndarray, " S"]:
        """The score of each swap."""
        if not self.swaps:
            return np.zeros(0)
        sequences = [swap.record.sequence for swap in self.swaps]
        by_text = []
        for place in range(2):
            texts = [{swap.property: swap.texts[place]} for swap in self.swaps]
            by_text.append([rows[0] for rows in model.segments_batch(sequences, texts)])
        pairs = zip(zip(*by_text, strict=True), self.swaps, strict=True)
        return np.array([swap_score(weights, swap.places) for weights, swap in pairs])

    @staticmethod
    def markdown(result: dict) -> str:
        """A table by property."""
        rows = [
            [
                name,
                str(result["proteins"][name]),
                f"{number(result[f'score_{name}'])} {interval(result['interval'][name])}",
            ]
            for name in PROPERTIES
        ]
        verdicts = [f"- {name}: **{verdict(result, name)}**." for name in PROPERTIES]
        return SECTION.format(
            verdicts="\n".join(verdicts),
            table=table(["property", "proteins", "score"], rows),
            pool=result["pool"],
            split=result["split"],
        )


def verdict(result: Mapping, name: str) -> str:
    """Whether the weights follow the text: whether the score's interval lies above zero."""
    if not result["proteins"][name]:
        return "not measured: no protein of the pool has two annotated places"
    low, high = result["interval"][name]
    if low > 0:
        return "the weights move to the place that the text names"
    return (
        "the weights move away from the place that the text names"
        if high < 0
        else "not shown to read the text"
    )


def _mean(scores: Float[np.ndarray, " N"]) -> float:
    return float(scores.mean()) if scores.size else float("nan")
