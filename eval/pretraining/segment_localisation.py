"""Segment localisation: do a property's PDA weights cover the residues that its features mark?

Measured as the AUROC of a protein's weights against those residues, averaged over proteins. A low
PDA loss proves nothing, since the kind of the property alone can meet it. So the AUROC is compared
with two controls: the same model with another record's text of the same property, and a model
trained without PDA. Only above both do segments follow what the text says.
"""

import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.figure import Figure

from data_pipelines.common.errors import UserError
from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import Record, biotext, property_texts
from eval.baselines.residue_tagger import Tagger, hydropathy
from eval.metrics.statistics import auroc, bootstrap_interval
from eval.pretraining.evaluation import Control, Evaluation, Model
from eval.pretraining.pool import fixed_pool, record_rng
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.explain.residue_tracks import Track, segment_tracks

LOCALISED = ("function", "location", "similarity")
OWN, OTHER = operator.attrgetter("texts"), operator.attrgetter("other_texts")
CONTROLS = {
    "other_record_text": "another record's text",
    "without_pda": "a model without PDA",
    "text_free_tagger": "a text-free tagger",
    "hydropathy": "hydropathy",
}
SECTION = """## Segment localisation (PDA)

{verdicts}

{table}

AUROC of a protein's PDA weights for its own property text against the residues covered by that
property's features (0.5 = no relation), averaged over the annotated proteins of a pool of {pool}
records of the split `{split}`. Controls: the same model with a random other record's differing text
of the same property; a model trained with loss.pda = 0, with the true text; a text-free tagger,
naive Bayes over neighbouring residues and the distances to the ends, trained on the features of the
training split; and for locations Kyte–Doolittle hydropathy, window 19. Δ is the paired difference
to the control. In brackets: 95 % bootstrap intervals over proteins.{absent}"""
SHOWN = 2
SHOWN_RESIDUES = 120


class Case(NamedTuple):
    """A protein with its text, another's text, and marked residues [L] per annotated property."""

    record: Record
    texts: dict[str, str]
    other_texts: dict[str, str]
    truth: dict[str, Bool[np.ndarray, " L"]]


def find_cases(records: Sequence[Record], text_key: Callable[[str], Hashable] = str) -> list[Case]:
    """The records with a property that has text, marked and unmarked residues.

    The other texts are drawn among `records`. Texts with the same `text_key` count as equal, so
    none replaces another.
    """
    texts = [property_texts(record) for record in records]
    said = {name: _distinct(texts, name) for name in LOCALISED}
    keys = {text: text_key(text) for of_property in said.values() for text in of_property}
    cases = []
    for record, own in zip(records, texts, strict=True):
        marked = annotated_residues(record)
        truth = {
            name: marked[name]
            for name in LOCALISED
            if name in own and name in marked and not marked[name].all()
        }
        truth = {name: residues for name, residues in truth.items() if residues.any()}
        rng = record_rng(record, "other text")
        other = {}
        for name in truth:
            options = [text for text in said[name] if keys[text] != keys[own[name]]]
            if options:
                other[name] = options[rng.integers(len(options))]
        if truth:
            cases.append(Case(record, {name: own[name] for name in truth}, other, truth))
    return cases


def _distinct(texts: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return sorted({text[name] for text in texts if name in text})


def check_without_pda(name: str, config: Mapping) -> None:
    """Refuses a control that has learnt where properties lie.

    Args:
      name: of the checkpoint.
      config: its training config, completed.

    Raises:
      UserError: `loss.pda` or `loss.features` was not 0.
    """
    for loss in ("pda", "features"):
        if (weight := config["loss"][loss]) != 0:
            raise UserError(
                f"--control={name} was trained with loss.{loss}={weight}; give one trained with "
                "--config.loss.pda=0 and without loss.features."
            )


class SegmentLocalisation(Evaluation):
    """AUROC per property on a split's first `pool` annotated records of distinct biotexts."""

    name = "segment_localisation"
    key = "pda"
    # Settings such as prototypes, for which a model without PDA has not been trained.
    control = Control(
        "control",
        "a checkpoint trained with loss.pda = 0, for segment_localisation",
        check_without_pda,
        shared=("pda",),
    )
    captions = {
        "segments": "PDA weights of the residues of two proteins for each property text; shaded "
        "residues are annotated for it."
    }

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 256, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._split, self._pool = split, len(chosen.records)
        self._cases = find_cases(chosen.records, dataset.text_key)

    def metrics(self, model: Model) -> dict[str, float]:
        """The mean AUROC of each property, with its own and with another record's text."""
        true, other = self._aurocs(model, OWN), self._aurocs(model, OTHER)
        means = {f"auroc_{name}": _mean(true[name]) for name in LOCALISED}
        return means | {f"auroc_other_record_text_{name}": _mean(other[name]) for name in LOCALISED}

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """AUROC, intervals, controls, and paired differences to the controls, each by property."""
        controls = self.by_protein(model, control=control, baselines=baselines)
        true = controls.pop("own")
        missing = (
            {}
            if control
            else {"without_pda": "no --control checkpoint, trained with loss.pda = 0, was given"}
        )
        missing |= {} if baselines else {"text_free_tagger": "there is no dataset to train it on"}
        proteins = {name: len(true[name]) for name in LOCALISED}
        annotated = {name: self._count_annotated(name) for name in LOCALISED}
        aurocs = {name: _mean(true[name]) for name in LOCALISED}
        intervals = {name: _interval(true[name]) for name in LOCALISED}
        result = {
            "split": self._split,
            "pool": self._pool,
            "proteins": proteins,
            "annotated_residues": annotated,
            "auroc": aurocs,
            "auroc_interval": intervals,
            "absent_controls": missing,
        }
        for key in CONTROLS:
            values = controls.get(key, {})
            measured = [name for name in LOCALISED if name in values]
            result[f"auroc_{key}"] = {name: _mean(values[name]) for name in measured} or None
            difference = {name: true[name] - values[name] for name in measured}
            result[f"difference_{key}"] = {
                name: _mean(part) for name, part in difference.items()
            } or None
            result[f"difference_{key}_interval"] = {
                name: _interval(part) for name, part in difference.items()
            } or None
        return result | {"verdict": {name: verdict(result, name) for name in LOCALISED}}

    def by_protein(
        self,
        model: Model,
        *,
        control: Model | None = None,
        baselines: TrainedBaselines | None = None,
    ) -> dict[str, dict[str, Float[np.ndarray, " N"]]]:
        """Each annotated protein's AUROC by property: with its `own` text, and with each control's.

        The proteins of a property are those of `accessions`. Controls that were not given are left
        out. A protein without another text has NaN there.
        """
        found = {"own": self._aurocs(model, OWN), "other_record_text": self._aurocs(model, OTHER)}
        if control:
            found["without_pda"] = self._aurocs(control, OWN)
        if baselines:
            found["text_free_tagger"] = self._tagged(baselines.taggers)
        return found | {"hydropathy": {"location": self._guessed("location", hydropathy)}}

    def accessions(self, name: str) -> list[str]:
        """The proteins annotated for a property."""
        return [case.record.accession for case in self._cases if name in case.truth]

    def figures(self, model: Model) -> dict[str, Figure]:
        """Plots the weights over two proteins with most annotated properties, short ones first."""
        order = sorted(
            self._cases,
            key=lambda case: (len(case.record.sequence) > SHOWN_RESIDUES, -len(case.truth)),
        )
        shown = order[:SHOWN]
        if not shown:
            return {}
        sequences = [case.record.sequence for case in shown]
        weights = model.segments_batch(sequences, [case.texts for case in shown])
        proteins = {}
        for case, matrix in zip(shown, weights, strict=True):
            tracks = [
                Track(name, row, case.truth[name])
                for name, row in zip(case.texts, matrix, strict=True)
            ]
            proteins[f"{case.record.accession} · {biotext(case.record)}"] = (
                case.record.sequence,
                tracks,
            )
        return {"segments": segment_tracks(proteins)}

    def _aurocs(
        self, model: Model, texts_of: Callable[[Case], dict[str, str]]
    ) -> dict[str, Float[np.ndarray, " N"]]:
        """Per property the AUROC of its annotated proteins; NaN if `texts_of` gives no text."""
        texts = [texts_of(case) for case in self._cases]
        given = [(case, own) for case, own in zip(self._cases, texts, strict=True) if own]
        sequences = [case.record.sequence for case, _ in given]
        weights = model.segments_batch(sequences, [own for _, own in given])
        found = {
            (case.record.accession, name): auroc(row, case.truth[name])
            for (case, own), matrix in zip(given, weights, strict=True)
            for name, row in zip(own, matrix, strict=True)
        }
        aurocs = {}
        for name in LOCALISED:
            accessions = [case.record.accession for case in self._cases if name in case.truth]
            aurocs[name] = np.array([found.get((one, name), np.nan) for one in accessions])
        return aurocs

    def _tagged(self, taggers: Mapping[str, Tagger]) -> dict[str, Float[np.ndarray, " N"]]:
        return {
            name: self._guessed(name, taggers[name].scores) for name in LOCALISED if name in taggers
        }

    def _guessed(
        self, name: str, scores: Callable[[str], Float[np.ndarray, " L"]]
    ) -> Float[np.ndarray, " N"]:
        """The AUROC of scores from the sequence alone, for a property's annotated proteins."""
        annotated = [case for case in self._cases if name in case.truth]
        return np.array(
            [auroc(scores(case.record.sequence), case.truth[name]) for case in annotated]
        )

    def _count_annotated(self, name: str) -> int:
        return sum(int(case.truth[name].sum()) for case in self._cases if name in case.truth)

    @staticmethod
    def markdown(result: dict) -> str:
        """A table by property: AUROC, controls, paired differences."""
        rows = [_row(result, name) for name in LOCALISED]
        header = [
            "property",
            "proteins",
            "annotated residues",
            "AUROC",
            *(f"with {control}" for control in CONTROLS.values()),
        ]
        absent = [
            f"Not measured with {CONTROLS[key]}: {reason}."
            for key, reason in result["absent_controls"].items()
        ]
        verdicts = [f"- {name}: **{text}**." for name, text in result["verdict"].items()]
        return SECTION.format(
            verdicts="\n".join(verdicts),
            table=table(header, rows),
            pool=result["pool"],
            split=result["split"],
            absent="".join(f"\n\n{sentence}" for sentence in absent),
        )


def _row(result: Mapping, name: str) -> list[str]:
    return [
        name,
        str(result["proteins"][name]),
        str(result["annotated_residues"][name]),
        f"{number(result['auroc'][name])} {interval(result['auroc_interval'][name])}",
        *(_control_cell(result, key, name) for key in CONTROLS),
    ]


def verdict(result: Mapping, name: str) -> str:
    """Whether a property's AUROC exceeds its controls: all measured differences are above zero.

    The intervals of the paired differences count.
    """
    if not result["proteins"][name]:
        return "not measured: no annotated protein in the pool"
    intervals = {key: result[f"difference_{key}_interval"] for key in CONTROLS}
    measured = {
        key: bounds[name]
        for key, bounds in intervals.items()
        if bounds is not None and name in bounds
    }
    failed = [CONTROLS[key] for key, (low, _) in measured.items() if not low > 0]
    if failed:
        return f"not above its controls (with {' and '.join(failed)})"
    unmeasured = [CONTROLS[key] for key in result["absent_controls"] if key not in measured]
    return (
        "above its controls"
        if not unmeasured
        else f"above the control measured; {' and '.join(unmeasured)} was not measured"
    )


def _mean(values: Float[np.ndarray, " N"]) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else float("nan")


def _interval(values: Float[np.ndarray, " N"]) -> tuple[float, float]:
    return bootstrap_interval(values[np.isfinite(values)])


def _control_cell(result: Mapping, key: str, name: str) -> str:
    if name not in (result[f"auroc_{key}"] or {}):
        return "" if key == "hydropathy" else "not measured"
    difference, bounds = (
        result[f"difference_{key}"][name],
        result[f"difference_{key}_interval"][name],
    )
    return f"{number(result[f'auroc_{key}'][name])}, Δ {number(difference)} {interval(bounds)}"
