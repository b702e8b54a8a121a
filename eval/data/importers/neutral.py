"""The neutral layout of a task: a folder with train.tsv, valid.tsv and test.tsv of `name,
sequence, target`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.data.base.assembly import NO_NUMBER, Labelled, classification, finite, regression
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import Row, listed, table_rows
from eval.data.base.task import SPLITS, Sample, Task

NO_CLASS = "its target is no class"
NO_IDENTITY = "its identity is no number from 0 to 1"


def read_neutral(
    files: Mapping[str, Sequence[Path]], *, benchmark: str, kind: str, classes: Path | None = None
) -> Task:
    """A task from tables (TSV or CSV) with the columns name, sequence, target and perhaps identity.

    Targets are numbers or names of classes, several separated by commas where a protein may have
    several.

    Args:
      kind: multiclass, multilabel or regression.
      classes: a list of the names in label order; by default those that occur, in `named_order`.

    Raises:
      UserError: a file is no such table.
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
    """What the row gives: one protein or, with a reject, none."""
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
