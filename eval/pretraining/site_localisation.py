"""Site localisation: do the PDA weights of a function text cover the protein's annotated sites?

Sites are active and binding sites as annotated by UniProt. `segment_localisation` asks this of
every kind of feature of the three properties; here it is the few residues behind a function,
compared with random placements. Measured for each protein and kind of site: the AUROC of the
weights against the residues, and the share of the sites among the 5 % of residues with the largest
weights.

Three controls. *Shifted*: the annotated residues are moved round the sequence by a random offset,
all together, which keeps their number and distances. *Same residues*: each is moved to a random
residue of the same amino acid in the same protein, since active sites are mostly His, Cys, Asp, Ser
and Glu, which random networks tell from others, too. And the function of a random other record,
which a model that does not read the text weighs alike.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.record import Record, property_texts
from eval.metrics.statistics import bootstrap_interval
from eval.pretraining.evaluation import Evaluation, Model
from eval.pretraining.pool import fixed_pool, record_rng
from eval.pretraining.trained_baselines import TrainedBaselines

KINDS = {"active_site": ("ACT_SITE",), "binding_site": ("BINDING", "CA_BIND", "METAL", "NP_BIND")}
"""UniProt's `FT` types, including those from before 2022."""
NULLS = {"shifted": "shifted", "same_residues": "same residues"}
TOP = 0.05
PERMUTATIONS = 1000
SECTION = """## Active and binding sites (PDA)

{verdicts}

{table}

AUROC of the PDA weights of a protein's function text against the residues that UniProt annotates as
sites, averaged over the annotated proteins of a pool of {pool} records of the split `{split}`. It
is compared with the same mean when each protein's sites are moved, {permutations} times: *shifted*
all together around the sequence, or to random places with the *same residues*; p is the share of
moves that do at least as well. Δ is the paired difference to the same model with another record's
function. *Top 5 %*: the share of the sites among the residues with the largest weights; a random
choice has 5 %. In brackets: 95 % intervals: for moved sites their own spread, else by bootstrap
over proteins."""


class Case(NamedTuple):
    """A protein, its function text, another record's function text, and its sites by kind."""

    record: Record
    text: str
    other_text: str | None
    sites: dict[str, Bool[np.ndarray, " L"]]


def find_cases(records: Sequence[Record], text_key: Callable[[str], Hashable] = str) -> list[Case]:
    """The records with a function and sites that do not cover the whole protein.

    The other texts are drawn among `records`. Texts with the same `text_key` count as equal, so
    none replaces another.
    """
    texts = [property_texts(record).get("function") for record in records]
    said = sorted({text for text in texts if text})
    keys = {text: text_key(text) for text in said}
    cases = []
    for record, text in zip(records, texts, strict=True):
        sites = {kind: _covered(record, types) for kind, types in KINDS.items()}
        sites = {
            kind: residues
            for kind, residues in sites.items()
            if residues.any() and not residues.all()
        }
        if text and sites:
            others = [other for other in said if keys[other] != keys[text]]
            rng = record_rng(record, "another function")
            cases.append(
                Case(record, text, others[rng.integers(len(others))] if others else None, sites)
            )
    return cases


def _covered(record: Record, types: Sequence[str]) -> Bool[np.ndarray, " L"]:
    residues = np.zeros(len(record.sequence), bool)
    for feature in record.features:
        if feature.type in types:
            residues[max(feature.start - 1, 0) : feature.end] = True
    return residues


class Scores(NamedTuple):
    """How well a protein's weights find its sites of one kind."""

    auroc: float
    top: float
    """Share of the sites among the 5 % of residues (at least one) with the largest weights."""
    shifted: Float[np.ndarray, " S"]
    """AUROCs of the sites shifted by 1 to L − 1 residues."""


def mean_ranks(values: Float[np.ndarray, " L"]) -> Float[np.ndarray, " L"]:
    """Ranks from 1, ascending; ties get their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse]


def auroc_of_rank_sums(
    sums: Float[np.ndarray, " N"], *, positives: int, length: int
) -> Float[np.ndarray, " N"]:
    """Mann and Whitney's statistic from the positives' rank sums, as a probability."""
    return (sums - positives * (positives + 1) / 2) / (positives * (length - positives))


def score(weights: Float[np.ndarray, " L"], sites: Bool[np.ndarray, " L"]) -> Scores:
    """AUROC of the sites at their places and at every shift; ties count half.

    Ties at the edge of the top 5 % count in part.
    """
    length, positions = len(weights), np.flatnonzero(sites)
    at = (positions[:, None] + np.arange(length)) % length
    aurocs = auroc_of_rank_sums(
        mean_ranks(weights)[at].sum(0), positives=len(positions), length=length
    )
    wanted = max(1, round(TOP * length))
    _, inverse, tied = np.unique(weights, return_inverse=True, return_counts=True)
    above = length - np.cumsum(tied)
    in_top = np.clip((wanted - above) / tied, 0, 1)[inverse]
    return Scores(float(aurocs[0]), float(in_top[positions].mean()), aurocs[1:])


def same_residues(
    weights: Float[np.ndarray, " L"],
    sites: Bool[np.ndarray, " L"],
    sequence: str,
    rng: np.random.Generator,
) -> Float[np.ndarray, " P"]:
    """AUROCs of `PERMUTATIONS` random placements of the sites on the same amino acids."""
    ranks, letters = mean_ranks(weights), np.array(list(sequence))
    sums = np.zeros(PERMUTATIONS)
    for letter in np.unique(letters[sites]):
        positions = np.flatnonzero(letters == letter)
        chosen = rng.random((PERMUTATIONS, len(positions))).argsort(1)[:, : sites[positions].sum()]
        sums += ranks[positions][chosen].sum(1)
    return auroc_of_rank_sums(sums, positives=int(sites.sum()), length=len(sites))


class SiteLocalisation(Evaluation):
    """The sites of a split's first `pool` records with distinct biotexts and annotation."""

    name = "site_localisation"
    key = "sites"

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._split, self._pool = split, len(chosen.records)
        self._cases = find_cases(chosen.records, dataset.text_key)

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean AUROC of each kind of site."""
        weights = self._weights(model, [case.text for case in self._cases])
        found = {}
        for kind in KINDS:
            aurocs = [own.auroc for own in self._scores(weights, kind).values()]
            found[f"auroc_{kind}"] = _mean(aurocs)
        return found

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """By kind of site: proteins, residues, AUROC, controls, p-values and enrichment.

        `control` is not used.
        """
        del control
        own = self._weights(model, [case.text for case in self._cases])
        other = self._weights(model, [case.other_text for case in self._cases])
        kinds = {kind: self._summary(kind, own, other) for kind in KINDS}
        return {
            "split": self._split,
            "pool": self._pool,
            "permutations": PERMUTATIONS,
            "kinds": kinds,
        }

    def _weights(
        self, model: Model, texts: Sequence[str | None]
    ) -> dict[int, Float[np.ndarray, " _"]]:
        """The weights of each case (by its index) that has a text."""
        with_text = [position for position, text in enumerate(texts) if text]
        sequences = [self._cases[position].record.sequence for position in with_text]
        weights = model.segments_batch(
            sequences, [{"function": texts[position]} for position in with_text]
        )
        return {position: row for position, (row,) in zip(with_text, weights, strict=True)}

    def _scores(
        self, weights: Mapping[int, Float[np.ndarray, " _"]], kind: str
    ) -> dict[int, Scores]:
        sites = {position: self._cases[position].sites.get(kind) for position in weights}
        return {
            position: score(weights[position], own)
            for position, own in sites.items()
            if own is not None
        }

    def _summary(self, kind: str, weights: Mapping, other_weights: Mapping) -> dict:
        own, other = self._scores(weights, kind), self._scores(other_weights, kind)
        aurocs = [scores.auroc for scores in own.values()]
        tops = [scores.top for scores in own.values()]
        differences = np.array(
            [own[position].auroc - other[position].auroc for position in own if position in other]
        )
        rng = np.random.default_rng(0)
        shifted = [
            scores.shifted[rng.integers(len(scores.shifted), size=PERMUTATIONS)]
            for scores in own.values()
        ]
        permuted = [
            same_residues(
                weights[position],
                self._cases[position].sites[kind],
                self._cases[position].record.sequence,
                rng,
            )
            for position in own
        ]
        nulls = {"shifted": shifted, "same_residues": permuted}
        summary = {
            "proteins": len(own),
            "residues": sum(int(self._cases[position].sites[kind].sum()) for position in own),
            "auroc": _mean(aurocs),
            "auroc_interval": bootstrap_interval(np.array(aurocs)),
            "difference_other_record_text": _mean(differences),
            "difference_other_record_text_interval": bootstrap_interval(differences),
            "top": _mean(tops),
            "top_interval": bootstrap_interval(np.array(tops)),
        }
        return summary | {
            name: _against(summary["auroc"], of_proteins) for name, of_proteins in nulls.items()
        }

    @staticmethod
    def markdown(result: dict) -> str:
        """A table by kind of site."""
        rows = [_row(kind, own) for kind, own in result["kinds"].items()]
        header = [
            "sites",
            "proteins",
            "residues",
            "AUROC",
            *NULLS.values(),
            "Δ to another record's text",
            "top 5 %",
        ]
        verdicts = [
            f"- {kind.replace('_', ' ')}s: **{verdict(own)}**."
            for kind, own in result["kinds"].items()
        ]
        return SECTION.format(
            verdicts="\n".join(verdicts),
            table=table(header, rows),
            pool=result["pool"],
            split=result["split"],
            permutations=result["permutations"],
        )


def _row(kind: str, own: Mapping) -> list[str]:
    return [
        kind.replace("_", " "),
        str(own["proteins"]),
        str(own["residues"]),
        f"{number(own['auroc'])} {interval(own['auroc_interval'])}",
        *(_null_cell(own[name]) for name in NULLS),
        f"{number(own['difference_other_record_text'])} "
        f"{interval(own['difference_other_record_text_interval'])}",
        f"{number(own['top'])} {interval(own['top_interval'])}",
    ]


def verdict(own: Mapping) -> str:
    """Whether sites are found better than moved sites, and better than with another's function."""
    if not own["proteins"]:
        return "not measured: no annotated protein in the pool"
    if failed := [message for name, message in NULLS.items() if not own[name]["p_value"] < 0.05]:
        return f"not found better than moved sites ({' and '.join(failed)})"
    low, _ = own["difference_other_record_text_interval"]
    if not low > 0:
        return "found better than moved sites, but no better than with another record's function"
    return "found better than moved sites and than with another record's function"


def _against(observed: float, of_proteins: Sequence[Float[np.ndarray, " _"]]) -> dict:
    """The mean over proteins of moved sites, its 95 % range, and the p-value.

    The p-value is the share of moves that do as well as the true sites.
    """
    means = np.mean(of_proteins, axis=0) if of_proteins else np.full(PERMUTATIONS, np.nan)
    # The true placement is one of those that could have been drawn, hence the + 1.
    p_value = (
        (1 + np.count_nonzero(means >= observed)) / (1 + len(means)) if of_proteins else np.nan
    )
    return {
        "mean": float(means.mean()),
        "range": np.percentile(means, [2.5, 97.5]).tolist(),
        "p_value": float(p_value),
    }


def _null_cell(null: Mapping) -> str:
    return f"{number(null['mean'])} {interval(null['range'])}, p {number(null['p_value'])}"


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
