"""Reads FLIP's splits, as CSV or as FASTA.

CSV: `sequence,target,set[,validation]`. FASTA: `>Name TARGET=1.0 SET=train VALIDATION=False`.
"""

from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER, finite, regression
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines, table_rows
from eval.data.base.task import Sample, Task
from eval.data.importers.fasta import records

NO_SET = "its set is neither train nor test"


def read_flip(file: Path, *, benchmark: str) -> Task:
    """Reads a regression with FLIP's split; training rows marked as validation become `valid`.

    Raises:
      UserError: the file has neither of FLIP's forms.
    """
    gathered, splits = Gathered(), {}
    first = next((line.lstrip() for _, line in lines(file)), "")
    for line, name, text, cells in (
        _fasta(file, gathered) if first.startswith(">") else _csv(file, gathered)
    ):
        split = {"train": "train", "test": "test"}.get(cells.get("set", "").lower())
        target = finite(cells.get("target", ""))
        if split is None or target is None:
            gathered.reject(file, line, name, NO_SET if split is None else NO_NUMBER)
        elif (sequence := gathered.sequence(file, line, name, text)) is not None:
            if split == "train" and cells.get("validation", "").lower() == "true":
                split = "valid"
            splits.setdefault(split, []).append(Sample(name, sequence, target))
    return regression(benchmark, splits, gathered)


def _csv(file: Path, gathered: Gathered) -> Iterator[tuple[int, str, str, dict[str, str]]]:
    for row in table_rows(file, gathered, columns=("sequence", "target", "set")):
        yield row.line, f"line {row.line}", row.cells["sequence"], row.cells


def _fasta(file: Path, gathered: Gathered) -> Iterator[tuple[int, str, str, dict[str, str]]]:
    for count, record in enumerate(records(file, gathered)):
        name, *words = record.header.split() or [""]
        cells = dict(word.lower().split("=", 1) for word in words if "=" in word)
        if not count and not {"target", "set"} <= cells.keys():
            raise UserError(
                f"{file} is not a FLIP FASTA: its first header is {record.header[:80]!r}, without "
                "TARGET= and SET=."
            )
        yield record.line, name, record.text, cells


FLIP = Format("flip", read_flip, file=("file",))
