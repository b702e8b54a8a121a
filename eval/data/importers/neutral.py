"""Reads a task in the neutral layout: train.tsv, valid.tsv and test.tsv."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.data.base.assembly import NO_NUMBER, Labelled, classification, finite, regression
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import Row, listed, table_rows
from eval.data.base.task import SPLITS, Sample, Task

NO_CLASS = "its target is not a class"
NO_IDENTITY = "its identity is not a number from 0 to 1"


def read_neutral(
    files: Mapping[str, Sequence[Path]], *, benchmark: str, kind: str, classes: Path | None = None
) -> Task:
    """Reads tables (TSV or CSV) with the columns name, sequence, target and optionally identity.

    Targets are numbers or class names; several names are separated by commas where a protein may
    have several.

    Args:
      kind: multiclass, multilabel or regression.
      classes: a list of names in label order; by default those that occur, in `named_order`.

    Raises:
      UserError: a file is not such a table.
    """
    gathered, splits = Gathered(), {}
    names = None if classes is None else [text for _, text in listed(classes, gathered)]
    for split, paths in files.items():
        splits[split] = []
        for path in paths:
            for row in table_rows(path, gathered, columns=("name", "sequence", "target")):
                splits[split] += _members(path, row, kind, names, gathered)
    if kind == "regression":
        return regression(benchmark, splits, gathered)
    return classification(benchmark, kind, splits, gathered, classes=names)


def _members(
    path: Path, row: Row, kind: str, names: Sequence[str] | None, gathered: Gathered
) -> list[Sample | Labelled]:
    """The row's protein, or none and a reject."""
    name, target = row.cells["name"], row.cells["target"]
    labels = (
        tuple(label.strip() for label in target.split(",") if label.strip())
        if kind == "multilabel"
        else (target,)
    )
    identity = finite(row.cells["identity"]) if row.cells.get("identity") else None
    fault = ""
    if kind == "regression":
        fault = NO_NUMBER if finite(target) is None else ""
    elif (kind == "multiclass" and not target) or (
        names is not None and not set(labels) <= set(names)
    ):
        fault = NO_CLASS
    if row.cells.get("identity") and (identity is None or not 0 <= identity <= 1):
        fault = fault or NO_IDENTITY
    if fault:
        gathered.reject(path, row.line, name, fault)
        return []
    sequence = gathered.sequence(path, row.line, name, row.cells["sequence"])
    if sequence is None:
        return []
    return [
        Sample(name, sequence, finite(target), identity)
        if kind == "regression"
        else Labelled(name, sequence, labels, identity)
    ]


def _entry(folder: NeutralFolder) -> dict | None:
    entry = folder.tables(*SPLITS)
    if not entry:
        return None
    classes = folder.listing("classes")
    return entry | {"classes": classes} if classes else entry


NEUTRAL = Format("neutral", read_neutral, splits=SPLITS, file=("classes",), neutral=_entry)
