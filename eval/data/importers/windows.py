"""Reads AAV capsids as mutated windows of a reference: a table `sequence,score`, and FASTA."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import NO_NUMBER, finite, regression
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.base.task import Sample, Task
from eval.data.importers.reference import read_reference
from eval.data.importers.tables import SEQUENCE_COLUMNS, TARGET_COLUMNS, chosen_column

AAV_WINDOW = (561, 588)
"""First and last mutated residue of P03135, 1-based, in the data of Bryant et al. 2021."""

ANOTHER_LENGTH = (
    "its window and the reference's differ in length, so substitutions cannot be counted"
)


def read_windows(
    file: Path,
    *,
    benchmark: str,
    reference: Path,
    window: Sequence[int] = AAV_WINDOW,
    train_substitutions: int | None = None,
) -> Task:
    """Reads a regression over whole proteins: each window replaces the reference's.

    Args:
      window: first and last residue, 1-based.
      train_substitutions: variants with at most this number of substitutions are `train`, the
      others `test` (FLIP's two_vs_many uses 2); None puts all into `train`.

    Raises:
      UserError: a file has another form, or the windows are not variants of the reference's.
    """
    gathered = Gathered()
    whole = read_reference(reference, gathered)
    if [type(position) for position in window] != [int, int] or not 1 <= window[0] <= window[
        1
    ] <= len(whole):
        raise UserError(
            f"{benchmark}: the window {list(window)} does not fit into {reference}, which has "
            f"{len(whole)} residues."
        )
    first, last = window
    before, wild_type, behind = whole[: first - 1], whole[first - 1 : last], whole[last:]
    rows = _rows(file, gathered)
    _check(file, reference, [sequence for _, sequence, _ in rows], wild_type)
    splits = {"train": []} if train_substitutions is None else {"train": [], "test": []}
    for line, sequence, target in rows:
        if train_substitutions is None:
            split = "train"
        elif len(sequence) == len(wild_type):
            substitutions = sum(a != b for a, b in zip(sequence, wild_type, strict=True))
            split = "train" if substitutions <= train_substitutions else "test"
        else:
            gathered.reject(file, line, sequence, ANOTHER_LENGTH)
            continue
        splits[split].append(Sample(f"line {line}", before + sequence + behind, target))
    return regression(benchmark, splits, gathered)


def _rows(file: Path, gathered: Gathered) -> list[tuple[int, str, float]]:
    columns = chosen_column(file, SEQUENCE_COLUMNS, None), chosen_column(file, TARGET_COLUMNS, None)
    rows = []
    for row in table_rows(file, gathered, columns=columns):
        text, target = row.cells[columns[0]], finite(row.cells[columns[1]])
        sequence = gathered.sequence(file, row.line, text[:100], text)
        if sequence is not None and target is None:
            gathered.reject(file, row.line, text[:100], NO_NUMBER)
        elif sequence is not None:
            rows.append((row.line, sequence, target))
    return rows


def _check(file: Path, reference: Path, windows: list[str], wild_type: str) -> None:
    """Refuses windows whose commonest residues come from another protein."""
    same = [window for window in windows if len(window) == len(wild_type)]
    common = [Counter(column).most_common(1)[0][0] for column in zip(*same, strict=True)]
    if sum(a == b for a, b in zip(common, wild_type, strict=False)) < len(wild_type) / 2:
        raise UserError(
            f"{file} holds no variants of {wild_type}, the window in {reference}: their commonest "
            f"residues are {''.join(common) or 'of another length'}; check the reference and the "
            "window."
        )


WINDOWS = Format(
    "windows",
    read_windows,
    file=("file", "reference"),
    options={"window": list[int], "train_substitutions": int},
)
