"""Builds tasks from what importers have read."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.task import Sample, Task

NO_NUMBER = "its target is not a finite number"
FEW_OF_ITS_CLASSES = "none of its classes has enough proteins"


class Labelled(NamedTuple):
    """A protein with its classes by name."""

    name: str
    sequence: str
    labels: tuple[str, ...]
    identity: float | None = None


def finite(text: str) -> float | None:
    """Parses a number; None for any other text, and for NaN and infinities."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def named_order(names: set[str]) -> tuple[str, ...]:
    """Sorts class names: by number where all of them are numbers, else alphabetically."""
    return tuple(sorted(names, key=int if all(map(str.isdecimal, names)) else str))


def frequent(labels: Iterable[Iterable[str]], minimum: int) -> list[str]:
    """The labels that at least `min_count` proteins have, in alphabetical order."""
    counts = Counter(label for of_protein in labels for label in set(of_protein))
    return sorted(label for label, count in counts.items() if count >= minimum)


def classification(
    name: str,
    kind: Literal["multiclass", "multilabel"],
    splits: Mapping[str, Sequence[Labelled]],
    gathered: Gathered,
    *,
    classes: Sequence[str] | None = None,
) -> Task:
    """Builds a task from proteins labelled by class name.

    Labels must be among `classes`; without them the classes are those that occur, in `named_order`.

    Raises:
      UserError: a class is listed twice, so that it would have two labels.
    """
    if classes is None:
        classes = named_order(
            {label for rows in splits.values() for row in rows for label in row.labels}
        )
    position = {label: index for index, label in enumerate(classes)}
    if len(position) < len(classes):
        twice = next(label for index, label in enumerate(classes) if position[label] != index)
        raise UserError(f"{name}: the list of classes has {twice!r} twice; keep one of them.")
    samples = {}
    for split, rows in splits.items():
        samples[split] = [_sample(row, kind, position) for row in rows]
    return Task(
        name,
        kind,
        tuple(classes),
        samples,
        gathered.rejects,
        gathered.sources,
        notes=gathered.notes,
    )


def _sample(row: Labelled, kind: str, position: Mapping[str, int]) -> Sample:
    labels = tuple(sorted(position[label] for label in set(row.labels)))
    return Sample(
        row.name, row.sequence, labels if kind == "multilabel" else labels[0], row.identity
    )


def regression(
    name: str, splits: Mapping[str, list[Sample]], gathered: Gathered, *, unit: str = ""
) -> Task:
    """Builds a regression task; without a unit it gets the benchmark's."""
    return Task(
        name, "regression", (), splits, gathered.rejects, gathered.sources, unit, gathered.notes
    )
