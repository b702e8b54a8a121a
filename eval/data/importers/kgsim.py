"""Reads kgsim-benchmark: pairs of proteins with their GO similarity and whether they interact."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.common.errors import UserError
from eval.data.base.assembly import finite
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import ANOTHER_WIDTH, lines
from eval.data.base.task import SimilarityTable
from eval.data.importers.similarity import TWICE, WITH_ITSELF, similarity_table

ENDS = ("Uniprot ID1", "Uniprot ID2")
MEASURES = {"similarity_kgsim": "BMA Seco", "similarity_kgsim_ppi": "Interaction"}
"""The default column of each benchmark; an entry of the manifest may name another.

BMA Seco is the mean over each protein's best matches, with an information content derived from the
ontology alone. The interaction column is 1 for interacting proteins and 0 for others.
"""
SEPARATOR = ";"


def read_kgsim(
    files: Mapping[str, Path],
    *,
    benchmark: str,
    sequences: Sequence[Path],
    measure: str | None = None,
) -> tuple[SimilarityTable, ...]:
    """Reads one set per file, under the given names.

    Pairs of a protein with itself or without a sequence are left out.

    Args:
      sequences: any file that `read_sequences` reads with UniProt accessions.
      measure: another column of numbers in [0, 1], such as `GIC Resnik`.

    Raises:
      UserError: a file is not such a table, or has no such column.
    """
    column = measure or MEASURES[benchmark]
    return tuple(_read(path, benchmark, name, column, sequences) for name, path in files.items())


def _read(
    path: Path, benchmark: str, name: str, column: str, sequences: Sequence[Path]
) -> SimilarityTable:
    gathered, positions, pairs = Gathered(), {}, {}
    numbered = lines(path)
    header = next(numbered, (0, ""))[1].split(SEPARATOR)
    if missing := [one for one in (*ENDS, column) if one not in header]:
        raise UserError(
            f"{path} has no column {missing[0]!r}; its header has: {', '.join(header)[:300]}."
        )
    first, second, value = (header.index(one) for one in (*ENDS, column))
    count = 0
    for line, text in numbered:
        count += 1
        cells = [cell.strip() for cell in text.split(SEPARATOR)]
        if len(cells) != len(header):
            gathered.reject(path, line, text[:100], ANOTHER_WIDTH)
            continue
        a, b = (positions.setdefault(cells[end], len(positions)) for end in (first, second))
        pair = (min(a, b), max(a, b))
        if a == b or pair in pairs:
            gathered.reject(
                path, line, f"{cells[first]} {cells[second]}", WITH_ITSELF if a == b else TWICE
            )
        else:
            number = finite(cells[value])
            pairs[pair] = np.nan if number is None else number
    gathered.source(path, count)
    ends = np.array(list(pairs), np.int64).reshape(-1, 2)
    values = np.array(list(pairs.values()), np.float64)
    return similarity_table(
        path, gathered, benchmark, name, list(positions), values, ends, sequences
    )


KGSIM = Format(
    "kgsim", read_kgsim, named_file=("files",), files=("sequences",), options={"measure": str}
)
