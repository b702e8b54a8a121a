"""Reads EC numbers of chains from a table with the columns `chain`, `ec_numbers`, `sequence`."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from eval.data.base.assembly import FEW_OF_ITS_CLASSES, Labelled, classification, frequent
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.base.task import SPLITS, Task

MIN_CHAINS = 10
NO_EC_NUMBER = "it has no EC number"


def read_ec_table(
    files: Mapping[str, Sequence[Path]], *, benchmark: str, min_chains: int = MIN_CHAINS
) -> Task:
    """Reads chains with one or several EC numbers, separated by commas.

    A partial number such as `3.4.21.-` is a class like any other.

    Args:
      min_chains: chains that a class needs in the training split, or in the first split if there is
      no training split; chains without any other class are rejected.

    Raises:
      UserError: a file is not such a table.
    """
    gathered = Gathered()
    splits = {}
    for split, paths in files.items():
        splits[split] = [row for path in paths for row in _rows(path, gathered)]
    counted = splits.get("train") or next(iter(splits.values()), [])
    classes = frequent((row.labels for _, _, row in counted), min_chains)
    kept = {split: _within(rows, set(classes), gathered) for split, rows in splits.items()}
    return classification(benchmark, "multilabel", kept, gathered, classes=classes)


def _rows(path: Path, gathered: Gathered) -> list[tuple[Path, int, Labelled]]:
    rows = []
    for row in table_rows(path, gathered, columns=("chain", "ec_numbers", "sequence")):
        name = row.cells["chain"]
        numbers = tuple(
            number.strip() for number in row.cells["ec_numbers"].split(",") if number.strip()
        )
        if not numbers:
            gathered.reject(path, row.line, name, NO_EC_NUMBER)
        elif (
            sequence := gathered.sequence(path, row.line, name, row.cells["sequence"])
        ) is not None:
            rows.append((path, row.line, Labelled(name, sequence, numbers)))
    return rows


def _within(
    rows: Sequence[tuple[Path, int, Labelled]], classes: set[str], gathered: Gathered
) -> list[Labelled]:
    """Keeps the rows with at least one class, and drops labels that are not classes."""
    kept = []
    for path, line, row in rows:
        if labels := tuple(label for label in row.labels if label in classes):
            kept.append(row._replace(labels=labels))
        else:
            gathered.reject(path, line, row.name, FEW_OF_ITS_CLASSES)
    return kept


EC_TABLE = Format("ec_table", read_ec_table, splits=SPLITS, options={"min_chains": int})
