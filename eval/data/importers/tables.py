"""Reads plain tables of sequences and targets, one file per split, as TAPE and PEER have them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER, Labelled, classification, finite, regression
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_header, table_rows
from eval.data.base.task import SPLITS, Sample, Task

SEQUENCE_COLUMNS = ("sequence", "seq", "primary", "protein_sequence", "aa_seq")
TARGET_COLUMNS = (
    *("target", "label", "score", "log_fluorescence", "stability_score"),
    *("scaled_effect1", "localization", "subcellular_localization", "solubility"),
)
NAME_COLUMNS = ("name", "id", "accession")
UNKNOWN_CLASS = "its target is not one of the classes"


def read_tables(
    files: Mapping[str, Sequence[Path]],
    *,
    benchmark: str,
    kind: str = "regression",
    classes: Sequence[str] | None = None,
    sequence_column: str | None = None,
    target_column: str | None = None,
) -> Task:
    """Reads a regression or, with `classes`, a classification from tables with a header.

    Args:
      files: by split.
      classes: names in label order; a target is then a name, or a label counted from 0.
      sequence_column, target_column: by default the first of `SEQUENCE_COLUMNS` and
      `TARGET_COLUMNS` that the header has.

    Raises:
      UserError: a file is not such a table.
    """
    if (classes is None) != (kind == "regression") or not all(
        isinstance(name, str) for name in classes or ()
    ):
        raise UserError(
            f'{benchmark} is {kind}; tables need "classes" (names in label order) for '
            "multiclass and only there."
        )
    gathered, splits = Gathered(), {}
    position = None if classes is None else _class_names(classes)
    for split, paths in files.items():
        splits[split] = []
        for path in paths:
            for line, name, sequence, text in _rows(path, gathered, sequence_column, target_column):
                target = finite(text) if position is None else position.get(text)
                if target is None:
                    gathered.reject(
                        path, line, name, NO_NUMBER if position is None else UNKNOWN_CLASS
                    )
                elif position is None:
                    splits[split].append(Sample(name, sequence, target))
                else:
                    splits[split].append(Labelled(name, sequence, (target,)))
    if position is None:
        return regression(benchmark, splits, gathered)
    return classification(benchmark, "multiclass", splits, gathered, classes=classes)


def _class_names(classes: Sequence[str]) -> dict[str, str]:
    """The class that each target names, by its name or by its label."""
    numbered = {str(label): name for label, name in enumerate(classes)}
    return numbered | {name: name for name in classes}


def chosen_column(path: Path, columns: Sequence[str], choice: str | None) -> str:
    """The column `choice`, else the first of `columns`, that the table's header has.

    Raises:
      UserError: the header has none of them, or the file is an LMDB database.
    """
    if path.is_dir() or path.suffix in (".lmdb", ".mdb"):
        raise UserError(
            f"{path} is an LMDB database, whose rows are pickles, which are never loaded; export "
            "it to a CSV with the columns sequence and target."
        )
    header = table_header(path)
    wanted = columns if choice is None else [choice]
    if (found := next((column for column in wanted if column in header), None)) is None:
        raise UserError(
            f"{path} has no column {' or '.join(wanted)}; its header has: "
            f"{', '.join(header)[:300]}."
        )
    return found


def _rows(path: Path, gathered: Gathered, sequence_column: str | None, target_column: str | None):
    """Yields (line, name, sequence, target as written) for every row with a usable sequence."""
    sequence_column = chosen_column(path, SEQUENCE_COLUMNS, sequence_column)
    target_column = chosen_column(path, TARGET_COLUMNS, target_column)
    name_column = next((column for column in NAME_COLUMNS if column in table_header(path)), None)
    for row in table_rows(path, gathered, columns=(sequence_column, target_column)):
        name = row.cells[name_column] if name_column else f"line {row.line}"
        sequence = gathered.sequence(path, row.line, name, row.cells[sequence_column])
        if sequence is not None:
            # TAPE's targets are arrays of one number, which exports write as [1.5].
            yield (
                row.line,
                name,
                sequence,
                row.cells[target_column].removeprefix("[").removesuffix("]"),
            )


TABLES = Format(
    "tables",
    read_tables,
    splits=SPLITS,
    options={"classes": list[str], "sequence_column": str, "target_column": str},
)
