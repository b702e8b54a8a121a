"""Reads PROBE's semantic similarity: square matrices and the coordinates of a sparse set.

Only a matrix's header row names its proteins.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from data_pipelines.common.errors import UserError
from eval.data.base.arrays import read_array
from eval.data.base.assembly import finite
from eval.data.base.format import Format, NeutralFolder
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines, table_rows
from eval.data.base.task import SimilarityTable
from eval.data.importers.sequences import read_sequences

ASPECTS = {"similarity_mf": "MF", "similarity_bp": "BP", "similarity_cc": "CC"}
NO_SEQUENCE = "none of the files has its sequence"
NO_SIMILARITY = "its similarity is not a number from 0 to 1"
WITH_ITSELF = "it is a pair of a protein with itself"
TWICE = "it repeats an earlier pair"


def read_similarity(
    matrices: Mapping[str, Path],
    *,
    benchmark: str,
    sequences: Sequence[Path],
    coordinates: Path | None = None,
) -> tuple[SimilarityTable, ...]:
    """Reads the sets 500 and 200 from their matrices and, with coordinates, the sparse set.

    A full set has every pair of distinct proteins once, as PROBE counts them. The sparse set's
    pairs are those of the 500's matrix. A protein without a sequence leaves a set with all its
    pairs.

    Args:
      matrices: `500` or `200` → file.
      sequences: any file that `read_sequences` reads with UniProt accessions.
      coordinates: int `.npy` [n, 2] of 0-based rows and columns.

    Raises:
      UserError: a file has another form, or coordinates come without the matrix they refer to.
    """
    if (
        not matrices
        or not set(matrices) <= {"500", "200"}
        or (coordinates and "500" not in matrices)
    ):
        raise UserError(
            f"{benchmark}: matrices take the sets 500 and 200, and coordinates need the matrix of "
            "500."
        )
    tables = []
    for name, path in matrices.items():
        gathered = Gathered()
        proteins, matrix = _read_matrix(path, gathered)
        pairs = np.stack(np.triu_indices(len(proteins), 1), axis=1)
        tables.append(
            similarity_table(
                path,
                gathered,
                benchmark,
                name,
                proteins,
                matrix[pairs[:, 0], pairs[:, 1]],
                pairs,
                sequences,
            )
        )
        if name == "500" and coordinates is not None:
            gathered = Gathered()
            gathered.source(path, len(proteins))
            pairs = _read_coordinates(coordinates, len(proteins), gathered)
            values = matrix[pairs[:, 0], pairs[:, 1]]
            tables.append(
                similarity_table(
                    path, gathered, benchmark, "sparse", proteins, values, pairs, sequences
                )
            )
    return tuple(tables)


def read_similarity_tables(
    files: Mapping[str, Path], *, benchmark: str, sequences: Sequence[Path]
) -> tuple[SimilarityTable, ...]:
    """Reads the neutral layout: for each set a table `a, b, similarity`.

    Raises:
      UserError: a file has another form.
    """
    tables = []
    for name, path in files.items():
        gathered, positions, pairs = Gathered(), {}, {}
        for row in table_rows(path, gathered, columns=("a", "b", "similarity")):
            a, b = (positions.setdefault(row.cells[end], len(positions)) for end in "ab")
            value = finite(row.cells["similarity"])
            pair = (min(a, b), max(a, b))
            if a == b or pair in pairs:
                gathered.reject(
                    path,
                    row.line,
                    f"{row.cells['a']} {row.cells['b']}",
                    WITH_ITSELF if a == b else TWICE,
                )
            else:
                pairs[pair] = np.nan if value is None else value
        ends = np.array(list(pairs), np.int64).reshape(-1, 2)
        values = np.array(list(pairs.values()), np.float64)
        tables.append(
            similarity_table(
                path, gathered, benchmark, name, list(positions), values, ends, sequences
            )
        )
    return tuple(tables)


def _read_matrix(path: Path, gathered: Gathered) -> tuple[list[str], Float[np.ndarray, "n n"]]:
    numbered = lines(path)
    names = [name.strip().strip('"') for name in next(numbered, (0, ""))[1].split(",")]
    if (
        len(set(names)) < len(names)
        or len(names) < 2
        or not all(names)
        or any(finite(name) is not None for name in names)
    ):
        raise UserError(
            f"{path} is not a matrix of PROBE: its first line must list distinct accessions, but "
            f"begins with {names[:3]}."
        )
    rows = []
    for line, text in numbered:
        values = [finite(cell) for cell in text.split(",")]
        if len(values) != len(names):
            raise UserError(
                f"{path}, line {line} has {len(values)} fields for {len(names)} proteins; "
                "expected a square matrix."
            )
        rows.append([np.nan if value is None else value for value in values])
    if len(rows) != len(names):
        raise UserError(
            f"{path} has {len(rows)} rows for {len(names)} proteins; expected a square matrix."
        )
    matrix = np.array(rows, np.float64)
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-6, equal_nan=True):
        raise UserError(
            f"{path} is not symmetric, so it does not hold similarities; fetch the file again."
        )
    gathered.source(path, len(rows))
    return names, matrix


def _read_coordinates(path: Path, size: int, gathered: Gathered) -> Int[np.ndarray, "P 2"]:
    pairs = read_array(path)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise UserError(
            f"{path} does not hold pairs of indices; give PROBE's "
            "SparsifiedSimilarityCoordinates_*.npy."
        )
    if len(pairs) and not 0 <= pairs.min() <= pairs.max() < size:
        raise UserError(
            f"{path} has the index {pairs.max()}, but there are {size} proteins; give the "
            "coordinates of the same aspect."
        )
    gathered.source(path, len(pairs))
    pairs = np.sort(pairs.astype(np.int64), axis=1)
    _, first = np.unique(pairs, axis=0, return_index=True)
    for position in set(range(len(pairs))) - set(first.tolist()):
        gathered.reject(path, 0, " ".join(map(str, pairs[position])), TWICE)
    return pairs[np.sort(first)]


def similarity_table(
    path, gathered, benchmark, name, proteins, values, pairs, sequences
) -> SimilarityTable:
    """Builds the set from pairs whose proteins have sequences and whose similarity is valid."""
    found = read_sequences(sequences, gathered, wanted=set(proteins))
    for protein in proteins:
        if protein not in found:
            gathered.reject(path, 0, protein, NO_SEQUENCE)
    sound = (values >= 0) & (values <= 1)
    for a, b in pairs[~sound]:
        gathered.reject(path, 0, f"{proteins[a]} {proteins[b]}", NO_SIMILARITY)
    known = np.array([protein in found for protein in proteins])
    kept = sound & known[pairs].all(1)
    if not kept.any():
        raise UserError(
            f"{benchmark}: no pair of {path} has sequences in {', '.join(map(str, sequences))}; "
            "give the FASTA of its proteins."
        )
    position = np.cumsum(known) - 1
    same = int((pairs[kept][:, 0] == pairs[kept][:, 1]).sum())
    notes = (
        (*gathered.notes, f"{same} pair is of a protein with itself, as in PROBE")
        if same
        else gathered.notes
    )
    names = [protein for protein in proteins if protein in found]
    return SimilarityTable(
        ASPECTS.get(benchmark, ""),
        name,
        names,
        [found[protein] for protein in names],
        position[pairs[kept]].astype(np.int32),
        values[kept],
        gathered.rejects,
        gathered.sources,
        notes,
    )


def _neutral_entry(folder: NeutralFolder) -> dict | None:
    sets, proteins = folder.tables("500", "200", "sparse"), folder.table("proteins")
    return {"files": sets, "sequences": proteins} if sets and proteins else None


PROBE = Format(
    "probe", read_similarity, named_file=("matrices",), file=("coordinates",), files=("sequences",)
)
SIMILARITY_TABLES = Format(
    "similarity_tables",
    read_similarity_tables,
    named_file=("files",),
    files=("sequences",),
    neutral=_neutral_entry,
)
