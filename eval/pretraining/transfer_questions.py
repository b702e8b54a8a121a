"""Annotation transfer as a baseline of single-property questions, chosen on validation.

A protein's neighbours answer for it (`eval.baselines.label_transfer`). The number of neighbours,
and the weight of homology against the model, are chosen by the mean average precision over the
kinds of questions.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from data_pipelines.protanno.record import Record
from eval.baselines.label_transfer import label_scores, training_answers
from eval.baselines.neighbours import Neighbours
from eval.metrics.multilabel import average_precision
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.pretraining.transfer_retrieval import (
    COMBINED,
    COMPOSITION,
    MODEL_SHARES,
    Pools,
    neighbour_sources,
)

FIRST = (1, 5, None)
"""How many informative neighbours may count; None = all."""


class KindQuestions(NamedTuple):
    """The questions of one kind to the N records for which it is known: Q texts."""

    kind: str
    texts: Sequence[str]
    records: Sequence[Record]
    answered: Bool[np.ndarray, "Q N"]
    model: Float[np.ndarray, "Q N"]
    """The model's scores."""

    @property
    def accessions(self) -> list[str]:
        return [record.accession for record in self.records]


Scored = list[np.ndarray]
"""By kind, in the order of the questions, [Q, N]."""


class TransferAnswers(NamedTuple):
    """Scores on the measured split by kind, and the setting chosen on validation."""

    scores: Mapping[str, Float[np.ndarray, "_ _"]]
    chosen: str
    validation_map: float


def transfer_answers(
    baselines: TrainedBaselines,
    validation: Sequence[KindQuestions],
    test: Sequence[KindQuestions],
    said: Callable[[Sequence[Record]], Mapping[str, Mapping[str, Collection[str]]]],
) -> dict[str, TransferAnswers]:
    """By name, each source of neighbours and the best of them combined with the model.

    Args:
      said: what training records answer, by kind and text.
    """
    pools = Pools(_records(validation), _records(test))
    sources = neighbour_sources(baselines, pools)
    lent = [
        one.record
        for found in sources.values()
        for _, own in found
        for near in own.values()
        for one in near
    ]
    training = list(
        {record.accession: record for record in [*baselines.references, *lent]}.values()
    )
    answers = said(training)

    def of_split(
        neighbours: Neighbours, split: Sequence[KindQuestions], first: int | None
    ) -> Scored:
        scores = []
        for questions in split:
            answered, known = training_answers(
                questions.texts, training, answers.get(questions.kind, {})
            )
            scores.append(
                label_scores(neighbours, questions.accessions, answered, known, first=first)
            )
        return scores

    results, tuned = {}, {}
    for name, settings in sources.items():
        candidates = {}
        for setting, neighbours in settings:
            for first in FIRST:
                shown = f"{setting}{'all' if first is None else first} of the neighbours"
                candidates[shown] = [
                    of_split(neighbours, split, first) for split in (validation, test)
                ]
        results[name], tuned[name] = _chosen(candidates, validation, test)
    best = max(
        (name for name in results if name != COMPOSITION),
        key=lambda name: results[name].validation_map,
    )
    results[COMBINED], _ = _chosen(
        _combinations(best, tuned[best], validation, test), validation, test
    )
    return results


def _records(split: Sequence[KindQuestions]) -> list[Record]:
    return [record for questions in split for record in questions.records]


def _mixed(share: float, split: Sequence[KindQuestions], homology: Scored) -> Scored:
    """The model's scores with weight `share`, and homology's with the rest."""
    return [
        share * by_question(questions.model) + (1 - share) * by_question(scores)
        for questions, scores in zip(split, homology, strict=True)
    ]


def _combinations(
    name: str,
    homology: Sequence[Scored],
    validation: Sequence[KindQuestions],
    test: Sequence[KindQuestions],
) -> dict:
    found = {}
    for share in MODEL_SHARES:
        found[f"{name}, model's share {share:.1f}"] = [
            _mixed(share, split, own)
            for split, own in zip((validation, test), homology, strict=True)
        ]
    return found


def by_question(scores: Float[np.ndarray, "Q N"]) -> Float[np.ndarray, "Q N"]:
    """Standardises each question's scores to mean 0 and deviation 1; zeros where all are equal."""
    spread = scores.std(axis=1, keepdims=True)
    return (scores - scores.mean(axis=1, keepdims=True)) / np.where(spread > 0, spread, 1)


def _chosen(
    candidates: Mapping[str, Sequence[Scored]],
    validation: Sequence[KindQuestions],
    test: Sequence[KindQuestions],
) -> tuple[TransferAnswers, Sequence[Scored]]:
    """The candidate with the best validation MAP (the first of equals), and its scores.

    Scores are for both splits.
    """
    measured = {name: mean_over_kinds(validation, scores[0]) for name, scores in candidates.items()}
    best = max(measured, key=measured.get)
    own = {
        questions.kind: scores for questions, scores in zip(test, candidates[best][1], strict=True)
    }
    return TransferAnswers(own, best, measured[best]), candidates[best]


def mean_over_kinds(split: Sequence[KindQuestions], scores: Scored | None = None) -> float:
    """The mean over kinds of the mean over questions of average precision.

    By default of the model's own scores.
    """
    scores = [questions.model for questions in split] if scores is None else scores
    return float(
        np.mean(
            [
                precisions(own, questions.answered).mean()
                for questions, own in zip(split, scores, strict=True)
            ]
        )
    )


def precisions(
    scores: Float[np.ndarray, "Q N"], answered: Bool[np.ndarray, "Q N"]
) -> Float[np.ndarray, " Q"]:
    """The average precision of each question."""
    return np.array(
        [average_precision(row, known) for row, known in zip(scores, answered, strict=True)]
    )
