"""Reads SES-Adapter's JSON lines: objects with `name`, `aa_seq` and `label`.

DeepLoc's also have `location`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER, Labelled, classification, finite, regression
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import listed
from eval.data.base.task import SPLITS, Sample, Task
from eval.data.importers.deeploc import MEMBRANE, MIXED, check_mixed, location_class

NO_OBJECT = "its line is not a JSON object with name, aa_seq and label"
NO_CLASS = "its label is not a class of this benchmark"


def objects(path: Path, gathered: Gathered) -> Iterator[tuple[int, dict]]:
    """Yields the objects of the file with their lines; lines may begin with blanks.

    Raises:
      UserError: the first line is not such an object, so the file has another format.
    """
    for count, (line, text) in enumerate(listed(path, gathered)):
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            row = None
        if (
            isinstance(row, dict)
            and isinstance(row.get("name"), str)
            and isinstance(row.get("aa_seq"), str)
            and "label" in row
        ):
            yield line, row
        elif not count:
            raise UserError(
                f"{path}, line {line} is not a JSON object with name, aa_seq and label; give an "
                "SES-Adapter file."
            )
        else:
            gathered.reject(path, line, "", NO_OBJECT)


def read_ses(
    files: Mapping[str, Sequence[Path]],
    *,
    benchmark: str,
    mixed: str = "reject",
    class_count: int | None = None,
) -> Task:
    """Reads a benchmark from JSON lines, by the kind of its labels.

    Localisation and membrane: the data name and order the classes by `location` and `label`. Lists
    of labels (EC, GO): classes have numbers and no names. Numbers: a regression, in degrees
    Celsius.

    Args:
      mixed: for localisation, as in `read_deeploc`.
      class_count: for EC and GO; by default one more than the largest label.

    Raises:
      UserError: a file has another form, or its labels and locations contradict each other.
    """
    gathered = Gathered()
    rows = {}
    for split, paths in files.items():
        rows[split] = [(path, *row) for path in paths for row in objects(path, gathered)]
    if benchmark in ("localisation", "membrane"):
        return _located(rows, gathered, benchmark=benchmark, mixed=mixed)
    if benchmark == "thermostability":
        return _measured(rows, gathered, benchmark=benchmark)
    return _numbered(rows, gathered, benchmark=benchmark, class_count=class_count)


def _located(rows: Mapping[str, list], gathered: Gathered, *, benchmark: str, mixed: str) -> Task:
    splits, order = {}, {}
    for split, members in rows.items():
        splits[split] = []
        for path, line, row in members:
            parts = _locations(row.get("location"), benchmark)
            label = location_class(parts, mixed) if parts else None
            if type(row["label"]) is not int or label is None:
                gathered.reject(path, line, row["name"], MIXED if len(parts) > 1 else NO_CLASS)
                continue
            if len(parts) == 1 and order.setdefault(row["label"], label) != label:
                raise UserError(
                    f"{path}, line {line}: label {row['label']} is {label} here and "
                    f"{order[row['label']]} before; give files of one data set."
                )
            splits[split] += _checked(path, line, row, (label,), gathered)
    names = [order[label] for label in sorted(order)]
    if len(set(names)) < len(names):
        raise UserError(
            f"{benchmark}: one location has two labels in the data ({order}); give files of "
            "one data set."
        )
    if benchmark == "localisation":
        check_mixed(mixed, names)
    return classification(benchmark, "multiclass", splits, gathered, classes=names)


def _locations(location: object, benchmark: str) -> list[str]:
    """Parses the compartments of `["Cytoplasm", "Nucleus", "U"]`; for membrane, `"M"` or `"S"`."""
    if benchmark == "membrane":
        return [MEMBRANE[location]] if isinstance(location, str) and location in MEMBRANE else []
    return (
        location[:-1]
        if isinstance(location, list) and all(isinstance(part, str) for part in location)
        else []
    )


def _numbered(
    rows: Mapping[str, list], gathered: Gathered, *, benchmark: str, class_count: int | None
) -> Task:
    lists = [
        row["label"] for members in rows.values() for _, _, row in members if _is_list(row["label"])
    ]
    count = class_count or max((label for labels in lists for label in labels), default=-1) + 1
    splits = {}
    for split, members in rows.items():
        splits[split] = []
        for path, line, row in members:
            if _is_list(row["label"]) and all(label < count for label in row["label"]):
                splits[split] += _checked(path, line, row, tuple(map(str, row["label"])), gathered)
            else:
                gathered.reject(path, line, row["name"], NO_CLASS)
    return classification(
        benchmark, "multilabel", splits, gathered, classes=tuple(map(str, range(count)))
    )


def _is_list(label: object) -> bool:
    return isinstance(label, list) and all(type(entry) is int and entry >= 0 for entry in label)


def _checked(
    path: Path, line: int, row: dict, labels: tuple[str, ...], gathered: Gathered
) -> list[Labelled]:
    sequence = gathered.sequence(path, line, row["name"], row["aa_seq"])
    return [] if sequence is None else [Labelled(row["name"], sequence, labels)]


def _measured(rows: Mapping[str, list], gathered: Gathered, *, benchmark: str) -> Task:
    splits = {}
    for split, members in rows.items():
        splits[split] = []
        for path, line, row in members:
            target = finite(str(row["label"]))
            if target is None:
                gathered.reject(path, line, row["name"], NO_NUMBER)
            elif (
                sequence := gathered.sequence(path, line, row["name"], row["aa_seq"])
            ) is not None:
                splits[split].append(Sample(row["name"], sequence, target))
    return regression(benchmark, splits, gathered, unit="°C")


SES_JSONL = Format("ses_jsonl", read_ses, splits=SPLITS, options={"mixed": str, "class_count": int})
