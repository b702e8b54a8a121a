"""Writes the scores: a table, and for a scan a heat map."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from data_pipelines.common.figure_style import DPI
from data_pipelines.common.tables import TableWriter
from data_pipelines.inputs.substitutions import AMINO_ACIDS, written
from protclip_jax.variants.heat_map import heat_map
from protclip_jax.variants.jobs import Job

TOP = 5
"""Number of positions named in the summary of a scan."""


def write_table(
    path: Path,
    jobs: Sequence[Job],
    columns: Mapping[str, Float32[np.ndarray, " n"]],
    *,
    first_position: int,
) -> None:
    """Writes one row per variant: protein id, mutation in the user's numbering, columns."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = TableWriter(file)
        table.writerow(["id", "mutation", *columns])
        rows = zip(named(jobs, first_position), *columns.values(), strict=True)
        for (id, mutation), *values in rows:
            table.writerow([id, mutation, *(f"{value:.6g}" for value in values)])


def named(jobs: Sequence[Job], first_position: int) -> Iterator[tuple[str, str]]:
    """Yields the id and mutation of each row of the table."""
    for job in jobs:
        for changes in job.variants:
            yield job.id, written(changes, first_position=first_position)


def scan_table(job: Job, scores: Float32[np.ndarray, " n"]) -> Float32[np.ndarray, "L 20"]:
    """Arranges the scores of a scan: 0 at the wild type, NaN where nothing was scored."""
    table = np.full((len(job.sequence), len(AMINO_ACIDS)), np.nan, np.float32)
    for (change,), score in zip(job.variants, scores, strict=True):
        table[change.index, AMINO_ACIDS.index(change.wild_type)] = 0
        table[change.index, AMINO_ACIDS.index(change.residue)] = score
    return table


def draw(path: Path, job: Job, scores: np.ndarray, *, first_position: int, method: str) -> None:
    """Writes the heat map and prints the positions with the lowest mean scores."""
    table = scan_table(job, scores)
    title = f"{job.id} · {len(job.sequence):,} residues · {method}"
    figure = heat_map(title, job.sequence, table, first_position=first_position)
    figure.savefig(path, dpi=DPI, format=path.suffix[1:])
    # 20 columns include the wild type, whose score is 0.
    means = np.nansum(table, axis=1) / (len(AMINO_ACIDS) - 1)
    lowest = np.argsort(means, kind="stable")[:TOP]
    sites = [f"{job.sequence[i]}{i + first_position} {means[i]:.2f}" for i in lowest]
    print(f"{job.id}: lowest mean score at {', '.join(sites)}")
