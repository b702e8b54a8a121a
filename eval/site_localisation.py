"""Site localisation: do the PDA weights of a protein's function lie on its active and binding sites, as UniProt annotates them?

`segment_localisation` asks this of every kind of feature of the three properties; here it is the few residues that a function
rests on, and the chance that a random placement does as well. Measured for each protein and kind of site: the AUROC of the
weights against the residues, and the share of them among the 5 % of residues of largest weight.

Controls: *permutation*: the annotated residues are shifted round the sequence by a random offset, all together, which keeps
their number and distances and breaks their relation to the weights; and the function of a random other record.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from data_pipelines.markdown import table
from data_pipelines.protanno import ProtAnno
from data_pipelines.record import Record, property_texts
from eval.evaluation import Evaluation, Model
from eval.pool import fixed_pool, record_rng
from eval.reporting.markdown import interval, number
from eval.statistics import bootstrap_interval

KINDS = {"active_site": ("ACT_SITE",), "binding_site": ("BINDING", "CA_BIND", "METAL", "NP_BIND")}
"""UniProt's `FT` types; those of before 2022 included."""
TOP = 0.05
PERMUTATIONS = 2000
SECTION = """## Active and binding sites (PDA)

{verdicts}

{table}

AUROC of the PDA weights of a protein's function text against the residues that UniProt annotates as sites, averaged over the
annotated proteins of a pool of {pool} records of the split `{split}`. *Permutation*: the mean over proteins when each one's
sites are shifted round its sequence by a random offset; p is the share of {permutations} such shifts that do at least as well.
Δ is the paired difference to the same model with another record's function. *Top 5 %*: the share of the sites among the
residues of largest weight; a random choice has 5 %. In brackets: 95 % intervals, of the permutation its own spread, else by
bootstrap over proteins."""


class Case(NamedTuple):
    """A protein, the text of its function, another record's, and where its sites of each kind are."""

    record: Record
    text: str
    other_text: str | None
    sites: dict[str, Bool[np.ndarray, " L"]]


def find_cases(records: Sequence[Record]) -> list[Case]:
    """The records with a function and sites, which do not cover the whole protein; other texts are drawn among `records`."""
    texts = [property_texts(record).get("function") for record in records]
    said = sorted({text for text in texts if text})
    cases = []
    for record, text in zip(records, texts, strict=True):
        sites = {kind: _covered(record, types) for kind, types in KINDS.items()}
        sites = {kind: residues for kind, residues in sites.items() if residues.any() and not residues.all()}
        if text and sites:
            others = [other for other in said if other != text]
            rng = record_rng(record, "another function")
            cases.append(Case(record, text, others[rng.integers(len(others))] if others else None, sites))
    return cases


def _covered(record: Record, types: Sequence[str]) -> Bool[np.ndarray, " L"]:
    residues = np.zeros(len(record.sequence), bool)
    for feature in record.features:
        if feature.type in types:
            residues[max(feature.start - 1, 0) : feature.end] = True
    return residues


class Shifted(NamedTuple):
    """A protein's scores with its sites where they are (the first) and shifted by 1 to L − 1 residues."""

    auroc: Float[np.ndarray, " L"]
    top: Float[np.ndarray, " L"]


def shifted(weights: Float[np.ndarray, " L"], sites: Bool[np.ndarray, " L"]) -> Shifted:
    """AUROC (ties count half) and the share of sites among the top 5 % (at least one residue) for every shift of the sites."""
    length, places = len(weights), np.flatnonzero(sites)
    _, inverse, counts = np.unique(weights, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    # The chance that a residue is among the top ones when ties are broken at random.
    wanted = max(1, round(TOP * length))
    above = length - ends
    in_top = np.clip((wanted - above) / counts, 0, 1)[inverse]
    at = (places[:, None] + np.arange(length)) % length
    positives, negatives = len(places), length - len(places)
    auroc = (ranks[at].sum(0) - positives * (positives + 1) / 2) / (positives * negatives)
    return Shifted(auroc, in_top[at].mean(0))


def permuted_means(of_proteins: Sequence[Float[np.ndarray, " L"]]) -> Float[np.ndarray, " P"]:
    """Means over proteins, each shifted by an offset of its own that is not 0, `PERMUTATIONS` times."""
    rng = np.random.default_rng(0)
    drawn: list[Int[np.ndarray, " P"]] = [rng.integers(1, len(values), PERMUTATIONS) for values in of_proteins]
    return np.mean([values[offsets] for values, offsets in zip(of_proteins, drawn, strict=True)], axis=0)


class SiteLocalisation(Evaluation):
    """The sites of the `pool` first records of distinct biotexts of a split, as far as they are annotated."""

    key = "sites"

    def __init__(self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None):
        chosen = fixed_pool(dataset.splits, split=split, size=pool, max_existence=max_existence)
        self._split, self._pool = split, len(chosen.records)
        self._cases = find_cases(chosen.records)

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean AUROC of each kind of site."""
        scores = self._scores(model, [case.text for case in self._cases])
        return {f"auroc_{kind}": _mean([own.auroc[0] for own in scores[kind].values()]) for kind in KINDS}

    def report(self, model: Model, *, control: Model | None) -> dict:
        """By kind of site: proteins, residues, AUROC, controls, p-value and enrichment; `control` is not used."""
        del control
        own = self._scores(model, [case.text for case in self._cases])
        other = self._scores(model, [case.other_text for case in self._cases])
        kinds = {kind: self._summary(kind, own[kind], other[kind]) for kind in KINDS}
        return {"split": self._split, "pool": self._pool, "permutations": PERMUTATIONS, "kinds": kinds}

    def _scores(self, model: Model, texts: Sequence[str | None]) -> dict[str, dict[int, Shifted]]:
        """Per kind of site the scores of each case (by its place) that has such sites and a text."""
        asked = [place for place, text in enumerate(texts) if text]
        sequences = [self._cases[place].record.sequence for place in asked]
        weights = model.segments_batch(sequences, [{"function": texts[place]} for place in asked])
        return {
            kind: {
                place: shifted(row, self._cases[place].sites[kind])
                for place, (row,) in zip(asked, weights, strict=True)
                if kind in self._cases[place].sites
            }
            for kind in KINDS
        }

    def _summary(self, kind: str, own: Mapping[int, Shifted], other: Mapping[int, Shifted]) -> dict:
        aurocs, tops = ([getattr(scores, name)[0] for scores in own.values()] for name in Shifted._fields)
        null = permuted_means([scores.auroc for scores in own.values()]) if own else np.full(1, np.nan)
        differences = np.array([own[place].auroc[0] - other[place].auroc[0] for place in own if place in other])
        return {
            "proteins": len(own),
            "residues": sum(int(self._cases[place].sites[kind].sum()) for place in own),
            "auroc": _mean(aurocs),
            "auroc_interval": bootstrap_interval(np.array(aurocs)),
            "permutation": float(null.mean()),
            "permutation_interval": np.percentile(null, [2.5, 97.5]).tolist(),
            # The observed placement is one of those that could have been drawn.
            "p_value": float((1 + np.count_nonzero(null >= _mean(aurocs))) / (1 + len(null))) if own else float("nan"),
            "difference_other_record_text": _mean(differences),
            "difference_other_record_text_interval": bootstrap_interval(differences),
            "top": _mean(tops),
            "top_interval": bootstrap_interval(np.array(tops)),
        }

    @staticmethod
    def markdown(result: dict) -> str:
        """A table by kind of site."""
        rows = [
            [
                kind.replace("_", " "),
                str(own["proteins"]),
                str(own["residues"]),
                f"{number(own['auroc'])} {interval(own['auroc_interval'])}",
                f"{number(own['permutation'])} {interval(own['permutation_interval'])}",
                number(own["p_value"]),
                f"{number(own['difference_other_record_text'])} {interval(own['difference_other_record_text_interval'])}",
                f"{number(own['top'])} {interval(own['top_interval'])}",
            ]
            for kind, own in result["kinds"].items()
        ]
        header = ["sites", "proteins", "residues", "AUROC", "permutation", "p", "Δ to another record's text", "top 5 %"]
        return SECTION.format(
            verdicts="\n".join(f"- {kind.replace('_', ' ')}s: **{verdict(own)}**." for kind, own in result["kinds"].items()),
            table=table(header, rows),
            **{name: result[name] for name in ("pool", "split", "permutations")},
        )


def verdict(own: Mapping) -> str:
    """Whether sites of a kind are found better than by chance, and better than with another record's function."""
    if not own["proteins"]:
        return "not measured: no annotated protein in the pool"
    if not own["p_value"] < 0.05:
        return "not found better than chance"
    low, _ = own["difference_other_record_text_interval"]
    if not low > 0:
        return "found better than chance, but no better than with another record's function"
    return "found better than chance and than with another record's function"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
