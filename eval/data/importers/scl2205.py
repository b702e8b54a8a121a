"""Reads SCL2205: locations by number in CSV `entry,seq,scl`, and their names in JSON."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.common.json_object import read_json
from eval.data.base.assembly import Labelled, classification
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.base.task import SPLITS, Task

UNKNOWN_NUMBER = "its number is not one of the labels"


def read_scl2205(files: Mapping[str, Sequence[Path]], *, benchmark: str, labels: Path) -> Task:
    """Reads one location per protein; a combination such as `Cytoplasm;Nucleus` is its own class.

    Args:
      labels: number → name, numbered from 0.

    Raises:
      UserError: a file is not such a table, or the labels are not numbered from 0.
    """
    gathered = Gathered()
    classes = _classes(labels)
    gathered.source(labels, len(classes))
    splits = {}
    for split, paths in files.items():
        splits[split] = [row for path in paths for row in _rows(path, classes, gathered)]
    return classification(benchmark, "multiclass", splits, gathered, classes=classes)


def _classes(path: Path) -> list[str]:
    """The names in label order."""
    named = read_json(path)
    numbers = [str(number) for number in range(len(named))]
    if (
        not named
        or set(named) != set(numbers)
        or not all(isinstance(name, str) for name in named.values())
    ):
        raise UserError(
            f'{path} does not number its labels from 0, as {{"0": "Cytoplasm", …}}; fetch '
            "the file again."
        )
    return [named[number] for number in numbers]


def _rows(path: Path, classes: Sequence[str], gathered: Gathered) -> list[Labelled]:
    positions = {str(number): name for number, name in enumerate(classes)}
    rows = []
    for row in table_rows(path, gathered, columns=("entry", "seq", "scl")):
        name, number = row.cells["entry"], row.cells["scl"]
        if number not in positions:
            gathered.reject(path, row.line, name, UNKNOWN_NUMBER)
        elif (sequence := gathered.sequence(path, row.line, name, row.cells["seq"])) is not None:
            rows.append(Labelled(name, sequence, (positions[number],)))
    return rows


SCL2205 = Format("scl2205", read_scl2205, splits=SPLITS, file=("labels",))
