"""What training records name: families and compartments that a model has or has not seen."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.questions import Answer, answers
from data_pipelines.protanno.record import Record
from eval.pretraining.groups import Group

SEEN, UNSEEN, UNNAMED = (
    "family named in training",
    "family not named in training",
    "no family named",
)


class TrainingLabels(NamedTuple):
    """Accessions of all training records, and the questions that their texts answer."""

    accessions: frozenset[str]
    answers: frozenset[Answer]


def read_training_labels(dataset: ProtAnno) -> TrainingLabels:
    """Reads every training record once."""
    accessions, found = set(), set()
    names = [name for name in sorted(dataset.splits) if name not in HELD_OUT]
    for split in progress(
        [dataset.splits[name] for name in names], description="labels of training", unit="splits"
    ):
        for record in split.without_features():
            accessions.add(record.accession)
            found |= answers(record)
    return TrainingLabels(frozenset(accessions), frozenset(found))


def by_family(records: Sequence[Record], labels: TrainingLabels) -> list[Group]:
    """Groups records by whether training names a family of theirs."""
    names = np.array([_family_seen(record, labels) for record in records])
    groups = [Group(name, names == name) for name in (SEEN, UNSEEN, UNNAMED)]
    return [group for group in groups if group.members.any()]


def _family_seen(record: Record, labels: TrainingLabels) -> str:
    families = {answer for answer in answers(record) if answer.kind == "family"}
    if not families:
        return UNNAMED
    return SEEN if families & labels.answers else UNSEEN
