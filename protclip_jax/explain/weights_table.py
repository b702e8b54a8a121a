"""The weights of a protein's residues as TSV."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_pipelines.common.plain_text import tsv_cell
from data_pipelines.protanno.record import Record
from protclip_jax.inference.segment_contrast import Contrast

COMPARED = ("difference", "low", "high")
"""Columns of a property that was compared with other texts, behind its name."""


def write_table(
    path: Path,
    record: Record,
    weights: Mapping[str, Float[np.ndarray, " L"]],
    contrasts: Mapping[str, Contrast],
    notes: Sequence[str],
) -> None:
    """One line a residue: position (1-based), residue, the weight for each property, what was
    compared of it, the features that cover it.

    Each of `notes` is a line in front of the header that begins with `# `.
    """
    columns = weights | {
        f"{name}_{part}": getattr(found, part)
        for name, found in contrasts.items()
        for part in COMPARED
    }
    with open(path, "x", newline="", encoding="utf-8") as file:
        file.writelines(f"# {' '.join(note.split())}\n" for note in notes)
        table = csv.writer(file, delimiter="\t", lineterminator="\n")
        table.writerow(["position", "residue", *columns, "features"])
        table.writerows(_rows(record, list(columns.values())))


def _rows(record: Record, columns: Sequence[np.ndarray]) -> Iterator[list]:
    for index, residue in enumerate(record.sequence):
        covering = [f for f in record.features if f.start <= index + 1 <= f.end]
        notes = tsv_cell("; ".join(f"{f.type} {f.note}".strip() for f in covering))
        yield [index + 1, residue, *(f"{column[index]:.6g}" for column in columns), notes]
