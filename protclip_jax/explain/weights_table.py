"""Writes the weights of a protein's residues as TSV."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from data_pipelines.common.tables import TableWriter
from data_pipelines.protanno.record import Record
from protclip_jax.inference.segment_contrast import Contrast

COMPARED = ("difference", "low", "high")
"""Columns added after a property's name if it was compared with other texts."""


def write_table(
    path: Path,
    record: Record,
    weights: Mapping[str, Float[np.ndarray, " L"]],
    contrasts: Mapping[str, Contrast],
    notes: Sequence[str],
) -> None:
    """Writes a line per residue: position (1-based), residue, weights, contrasts and features.

    Each of `notes` becomes a line that begins with `# `, before the header.
    """
    columns = weights | {
        f"{name}_{part}": getattr(found, part)
        for name, found in contrasts.items()
        for part in COMPARED
    }
    with open(path, "x", newline="", encoding="utf-8") as file:
        file.writelines(f"# {' '.join(note.split())}\n" for note in notes)
        table = TableWriter(file)
        table.writerow(["position", "residue", *columns, "features"])
        for row in _rows(record, list(columns.values())):
            table.writerow(row)


def _rows(record: Record, columns: Sequence[np.ndarray]) -> Iterator[list]:
    for index, residue in enumerate(record.sequence):
        covering = [f for f in record.features if f.start <= index + 1 <= f.end]
        notes = "; ".join(f"{f.type} {f.note}".strip() for f in covering)
        yield [index + 1, residue, *(f"{column[index]:.6g}" for column in columns), notes]
