"""Single-property questions: one phrase, such as "binds zinc", ranks the proteins of a pool.

Questions come with the dataset (`data_pipelines.build --questions`), or else from its records. The
questions of a kind rank the proteins for which that kind is known; the number is the mean over
questions of average precision (MAP).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from data_pipelines.common.errors import UserError
from data_pipelines.common.markdown import interval, number, table
from data_pipelines.protanno.clusters import VALIDATION
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.questions import Answer, Questions, enzyme_questions, said_by
from data_pipelines.protanno.record import Record
from eval.metrics.statistics import bootstrap_interval
from eval.pretraining.evaluation import Encoder, Evaluation, Model
from eval.pretraining.groups import by_nearness
from eval.pretraining.pool import fixed_pool
from eval.pretraining.trained_baselines import VALIDATION_POOL, TrainedBaselines
from eval.pretraining.transfer_questions import (
    KindQuestions,
    TransferAnswers,
    mean_over_kinds,
    precisions,
    transfer_answers,
)
from eval.pretraining.transfer_retrieval import RANDOM, UNTUNED

MIN_POSITIVES = 3
"""The number of proteins of the pool that must answer a question."""
SEEN = ("seen in training", "not seen in training")
"""Questions by whether some training record answers them."""
SECTION = """## Questions about a single property

{table}

Mean average precision over the questions of a kind, each a phrase such as “{example}” that ranks
the proteins of the pool by cosine: {pool} records of the split `{split}`. Questions are {source};
questions that fewer than {minimum} proteins of the pool answer, or more than half, are left out, as
are proteins for which the kind is unknown. *Prevalence*: the mean share of proteins that answer.
*Chance*: the mean average precision of a random order. *Correct in top ten*: how many of the ten
proteins that ProtCLIP ranks highest answer, on average. In brackets: 95 % bootstrap intervals over
questions.{transfers}{nearness}"""
TRANSFERS = """

Annotation transfer: a protein's neighbours in training answer for it or, if they say nothing, the
share of training proteins that answer. The number of neighbours and their weight beside the model
are chosen by MAP on validation: {chosen}.

{table}"""
NEARNESS = """

MAP by nearness to training, and the number of proteins; questions that fewer than {minimum} of them
answer are left out:

{table}"""


class Kind(NamedTuple):
    """The questions of one kind, the pool indices of the N proteins it is known for, and answers.

    Q texts; `answers` says which protein answers which question.
    """

    texts: list[str]
    known: np.ndarray
    answered: Bool[np.ndarray, "Q N"]


def kinds_of(questions: Questions, accessions: list[str]) -> dict[str, Kind]:
    """The questions, by kind, that enough but not too many of the proteins answer."""
    place = {accession: index for index, accession in enumerate(accessions)}
    kinds = {}
    for name, of_kind in sorted(questions.items()):
        everyone = frozenset().union(*of_kind.values())
        known = sorted(place[accession] for accession in everyone if accession in place)
        names = np.array(accessions)[known]
        texts, answered = [], []
        for text, accessions_of in sorted(of_kind.items()):
            row = np.array([accession in accessions_of for accession in names], bool)
            if row.sum() >= MIN_POSITIVES and 2 * row.sum() <= len(row):
                texts.append(text)
                answered.append(row)
        if texts:
            kinds[name] = Kind(texts, np.array(known), np.stack(answered))
    return kinds


def chance(answered: Bool[np.ndarray, "Q N"]) -> Float[np.ndarray, " Q"]:
    """The expected average precision of a random order of N proteins of which p answer.

    (p − 1) / (N − 1) · (1 − H_N / N) + H_N / N, with H_N the N-th harmonic number.
    """
    count = answered.shape[1]
    harmonic = np.sum(1 / np.arange(1, count + 1)) / count
    return (answered.sum(1) - 1) / max(count - 1, 1) * (1 - harmonic) + harmonic


class SingleProperty(Evaluation):
    """MAP by kind on a split's first `pool` records with distinct biotexts."""

    name = "single_property"
    compares_transfers = True

    def __init__(
        self, dataset: ProtAnno, *, split: str, pool: int = 1024, max_existence: int | None = None
    ):
        chosen = fixed_pool(dataset, split=split, size=pool, max_existence=max_existence)
        self._split, self._sequences = split, [record.sequence for record in chosen.records]
        self._dataset, self._records = dataset, chosen.records
        self.accessions = [record.accession for record in chosen.records]
        given = dataset.questions
        self._source = (
            "those of the dataset"
            if given
            else "the compartments, families and EC numbers that records name"
        )
        questions = given or said_by(chosen.records)
        self.kinds = kinds_of(questions, self.accessions)
        if not self.kinds:
            raise UserError(
                f"no question about a single property is answered by {MIN_POSITIVES} "
                f"proteins of the split {split}; use a "
                "larger pool or split, or build the dataset with --questions."
            )

    def metrics(self, model: Model) -> dict[str, float]:
        """`map_KIND` of each kind, and `map`, their mean."""
        means = {
            f"map_{name}": float(values.mean()) for name, values in self._precisions(model).items()
        }
        return means | {"map": float(np.mean(list(means.values())))}

    def report(
        self, model: Model, *, control: Model | None, baselines: TrainedBaselines | None = None
    ) -> dict:
        """Adds number of questions, prevalence, chance, intervals, baselines, and MAP by nearness.

        All by kind; nearness is to training.
        """
        found = self._precisions(model)
        trained = baselines and baselines.linear
        linear = self._precisions(trained.model) if trained else {}
        kinds = {name: self._described(name, found[name], linear.get(name)) for name in self.kinds}
        scores = {"ProtCLIP": self.scores(model)} | (
            {"linear model": self.scores(trained.model)} if trained else {}
        )
        transfers = self.transfers(model, baselines) if baselines else {}
        scores |= {name: own.scores for name, own in transfers.items()}
        for name, kind in kinds.items():
            kind["first_ten"] = {
                source: first_ten(own[name], self.kinds[name].answered)
                for source, own in scores.items()
            }
            kind["transfers"] = {
                source: _summary(precisions(own.scores[name], self.kinds[name].answered))
                for source, own in transfers.items()
            }
            if baselines:
                kind["seen"] = self._by_seen(name, found[name], baselines)
        example = next(iter(self.kinds.values())).texts[0]
        described = {
            "split": self._split,
            "pool": len(self._sequences),
            "source": self._source,
            "example": example,
        }
        chosen = {
            name: {"chosen": own.chosen, "validation_map": own.validation_map}
            for name, own in transfers.items()
        }
        beside = {"kinds": kinds, "transfers": chosen, "by_nearness": self._by_nearness(scores)}
        return described | self.metrics(model) | beside

    def scored_questions(self, model: Encoder) -> list[KindQuestions]:
        """The questions of each kind with the model's scores."""
        scores = self.scores(model)
        found = []
        for name, kind in self.kinds.items():
            records = [self._records[place] for place in kind.known]
            found.append(KindQuestions(name, kind.texts, records, kind.answered, scores[name]))
        return found

    def transfers(self, model: Encoder, baselines: TrainedBaselines) -> dict[str, TransferAnswers]:
        """Annotation transfers by name.

        Empty without a validation split that answers questions, on which transfer is chosen.
        """
        try:
            tuning = SingleProperty(self._dataset, split=VALIDATION, pool=VALIDATION_POOL)
        except UserError:
            return {}
        if not baselines.references:
            return {}
        found = transfer_answers(
            baselines, tuning.scored_questions(model), self.scored_questions(model), self._said
        )
        if baselines.untrained is not None:
            tuned = mean_over_kinds(tuning.scored_questions(baselines.untrained))
            found[RANDOM] = TransferAnswers(self.scores(baselines.untrained), UNTUNED, tuned)
        return found

    def _said(self, records: list[Record]) -> Questions:
        return self._dataset.questions or said_by(records, enzyme_questions(self._records))

    def _by_seen(
        self, name: str, found: Float[np.ndarray, " Q"], baselines: TrainedBaselines
    ) -> dict[str, dict]:
        """MAP of the questions that some training record answers, and of the others."""
        labels, given = baselines.labels, self._dataset.questions.get(name, {})
        texts = self.kinds[name].texts
        if name == "enzyme" and not given:
            answered = self._said(baselines.references).get(name, {})
            seen = np.array([text in answered for text in texts])
        elif given:
            seen = np.array([bool(given[text] & labels.accessions) for text in texts])
        else:
            seen = np.array([Answer(name, text) in labels.answers for text in texts])
        parts = zip(SEEN, (found[seen], found[~seen]), strict=True)
        return {part: _summary(own) for part, own in parts if own.size}

    def _by_nearness(
        self, scores: Mapping[str, Mapping[str, Float[np.ndarray, "_ _"]]]
    ) -> list[dict]:
        """MAP of each model among each group's proteins, by group and kind."""
        rows = []
        for group in by_nearness(self._dataset, self.accessions):
            for name, kind in self.kinds.items():
                own = group.members[kind.known]
                positives = kind.answered[:, own].sum(1)
                counted = (positives >= MIN_POSITIVES) & (positives < own.sum())
                if counted.any():
                    answered = kind.answered[np.ix_(counted, own)]
                    among = {model: by[name][np.ix_(counted, own)] for model, by in scores.items()}
                    means = {
                        model: _summary(precisions(part, answered)) for model, part in among.items()
                    }
                    row = {
                        "name": group.name,
                        "kind": name,
                        "proteins": int(own.sum()),
                        "questions": int(counted.sum()),
                    }
                    rows.append(row | {"models": means})
        return rows

    def _described(
        self, name: str, found: Float[np.ndarray, " Q"], linear: Float[np.ndarray, " Q"] | None
    ) -> dict:
        kind = self.kinds[name]
        result = {
            "questions": len(kind.texts),
            "proteins": len(kind.known),
            "prevalence": float(kind.answered.mean()),
            "chance": float(chance(kind.answered).mean()),
            "map": float(found.mean()),
            "map_interval": bootstrap_interval(found),
        }
        if linear is not None:
            result["map_linear"] = float(linear.mean())
            result["difference_linear"] = float((found - linear).mean())
            result["difference_linear_interval"] = bootstrap_interval(found - linear)
        return result

    def scores(self, model: Encoder) -> dict[str, Float[np.ndarray, "_ _"]]:
        """By kind, the cosine of each question with each protein for which the kind is known."""
        proteins = model.encode_proteins(self._sequences)
        texts = model.encode_texts([text for kind in self.kinds.values() for text in kind.texts])
        ends = np.cumsum([len(kind.texts) for kind in self.kinds.values()])
        parts = zip(self.kinds.items(), np.split(texts, ends[:-1]), strict=True)
        return {name: own @ proteins[kind.known].T for (name, kind), own in parts}

    def _precisions(self, model: Encoder) -> dict[str, Float[np.ndarray, " _"]]:
        """By kind, the average precision of each question."""
        found = {}
        for name, scores in self.scores(model).items():
            found[name] = precisions(scores, self.kinds[name].answered)
        return found

    @staticmethod
    def markdown(result: dict) -> str:
        """A table by kind."""
        rows = [_row(name, found) for name, found in result["kinds"].items()]
        header = [
            "kind",
            "questions",
            "proteins",
            "prevalence",
            "chance",
            "ProtCLIP",
            "linear model",
            "Δ",
            "correct in top ten",
        ]
        return SECTION.format(
            table=table(header, rows),
            minimum=MIN_POSITIVES,
            transfers=_transfer_table(result),
            nearness=_nearness_table(result["by_nearness"]),
            **{name: result[name] for name in ("pool", "split", "source", "example")},
        )


def first_ten(scores: Float[np.ndarray, "Q N"], answered: Bool[np.ndarray, "Q N"]) -> float:
    """The share of the ten highest-ranked proteins that answer, averaged over questions.

    Of fewer than ten proteins, all count.
    """
    order = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    return float(np.take_along_axis(answered, order, axis=1).mean())


def _summary(values: Float[np.ndarray, " Q"]) -> dict:
    return {
        "map": float(values.mean()),
        "interval": bootstrap_interval(values),
        "questions": len(values),
    }


def _shown(found: Mapping) -> str:
    return f"{number(found['map'])} {interval(found['interval'])}"


def _transfer_table(result: Mapping) -> str:
    if not result["transfers"]:
        return ""
    chosen = [
        f"{name}: {one['chosen']} ({number(one['validation_map'])})"
        for name, one in result["transfers"].items()
    ]
    header = ["kind", *result["transfers"], *(f"ProtCLIP, {part} (questions)" for part in SEEN)]
    rows = []
    for name, kind in result["kinds"].items():
        parts = [kind["seen"].get(part) for part in SEEN]
        seen = [f"{_shown(part)} ({part['questions']})" if part else "" for part in parts]
        rows.append([name, *map(_shown, kind["transfers"].values()), *seen])
    return TRANSFERS.format(chosen="; ".join(chosen), table=table(header, rows))


def _nearness_table(found: list[Mapping]) -> str:
    if not found:
        return ""
    header = ["nearest in training", "kind", "proteins", "questions", *found[0]["models"]]
    rows = [
        [
            row["name"],
            row["kind"],
            str(row["proteins"]),
            str(row["questions"]),
            *map(_shown, row["models"].values()),
        ]
        for row in found
    ]
    return NEARNESS.format(minimum=MIN_POSITIVES, table=table(header, rows))


def _row(name: str, found: Mapping) -> list[str]:
    linear = ["not trained", ""]
    if "map_linear" in found:
        difference = (
            f"{number(found['difference_linear'])} {interval(found['difference_linear_interval'])}"
        )
        linear = [number(found["map_linear"]), difference]
    measured = f"{number(found['map'])} {interval(found['map_interval'])}"
    shares = [number(found["prevalence"]), number(found["chance"])]
    ten = f"{10 * found['first_ten']['ProtCLIP']:.1f}"
    return [name, str(found["questions"]), str(found["proteins"]), *shares, measured, *linear, ten]
