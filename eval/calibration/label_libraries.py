"""Libraries of labels whose ids occur in records: enzyme classes and Gene Ontology terms."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.labels import Label, LabelSource
from data_pipelines.protanno.record import Record
from data_pipelines.readers.obo import read_obo
from eval.calibration.questions import Embedded
from eval.calibration.traits import TRAITS, Trait
from eval.pretraining.evaluation import Model
from protclip_jax.retrieval.calibration import FEWEST_LABELS, trait_of_id
from protclip_jax.retrieval.nearest import unit_rows

BARE = Record("", "", "unknown", "", 0, "")
"""An empty record."""
_BY_NAME = {trait.name: trait for trait in TRAITS}
LABEL_TRAITS = {
    "ec": _BY_NAME["ec"],
    "go": _BY_NAME["go"]._replace(
        share=0.0, meaning="the GO term of the label, or one that is a kind of it"
    ),
}
"""The traits in which a record and a label may agree; a label has one term, a record several."""


class Library(NamedTuple):
    """The labels of one trait.

    Attributes:
      labels: as records that have their id only.
      stated: maps a protein's record to one with everything that follows from it.
    """

    trait: Trait
    labels: Embedded
    stated: Callable[[Record], Record]


def read_libraries(model: Model, paths: Sequence[Path]) -> list[Library]:
    """Reads the labels of all files by trait, and embeds them as an index of labels does.

    Raises:
      UserError: a file cannot be read, most of its ids are neither EC numbers nor GO terms, or it
        has too few labels.
    """
    found: dict[str, list[Label]] = {name: [] for name in LABEL_TRAITS}
    parents: dict[str, tuple[str, ...]] = {}
    for path in paths:
        labels = [label for label in LabelSource(path=path).labels() if label.prompts]
        named = [(trait_of_id(label.id), label) for label in labels]
        if 2 * sum(trait is not None for trait, _ in named) <= len(named):
            raise UserError(
                f"{path}: most ids of its labels are neither EC numbers nor of GO terms, so "
                "records do not say which are right; leave it out."
            )
        for trait, label in named:
            if trait is not None:
                found[trait].append(label)
        parents |= _parents_in(path)
    kept = {name: labels for name, labels in found.items() if labels}
    for name, labels in kept.items():
        if len(labels) < FEWEST_LABELS:
            raise UserError(
                f"there are {len(labels)} labels of {name}, and a confidence takes "
                f"{FEWEST_LABELS} to choose from; give a larger library."
            )
    return [_library(model, name, labels, parents) for name, labels in kept.items()]


def _library(
    model: Model, name: str, labels: Sequence[Label], parents: Mapping[str, tuple[str, ...]]
) -> Library:
    prompts = np.asarray(model.encode_texts([text for label in labels for text in label.prompts]))
    ends = np.cumsum([len(label.prompts) for label in labels])
    vectors = unit_rows([some.mean(axis=0) for some in np.split(prompts, ends[:-1])])
    records = [_saying(name, label.id) for label in labels]

    def stated(record: Record) -> Record:
        return dataclasses.replace(record, go=above(record.go, parents))

    return Library(LABEL_TRAITS[name], Embedded(records, vectors), stated)


def _saying(trait: str, id: str) -> Record:
    if trait == "go":
        return dataclasses.replace(BARE, go=(id,))
    number = id.upper().removeprefix("EC").lstrip(" :").lower()
    return dataclasses.replace(BARE, other_names=(f"EC {number}",))


def _parents_in(path: Path) -> dict[str, tuple[str, ...]]:
    """The `is_a` relations of an ontology's terms; empty for other files."""
    if not path.name.lower().removesuffix(".gz").endswith(".obo"):
        return {}
    return {term.id: term.parents for term in read_obo(path)}


def above(terms: Sequence[str], parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The terms and all their ancestors."""
    known, rest = dict.fromkeys(terms), list(terms)
    while rest:
        found = itertools.chain.from_iterable(parents.get(term, ()) for term in rest)
        rest = [parent for parent in found if parent not in known]
        known |= dict.fromkeys(rest)
    return tuple(known)
