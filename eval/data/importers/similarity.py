"""PROBE's semantic similarity: square matrices whose header row alone names the proteins, and
coordinates of a sparse set."""

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
NO_SIMILARITY = "its similarity is no number from 0 to 1"
WITH_ITSELF = "it is a pair of a protein with itself"
TWICE = "it is there already"


def read_similarity(
    matrices: Mapping[str, Path],
    *,
    benchmark: str,
    sequences: Sequence[Path],
    coordinates: Path | None = None,
) -> tuple[SimilarityTable, ...]:
    """The sets 500 and 200, as far as there are matrices, and with coordinates the sparse set,
    pairs of the 500's matrix.

    A full set has every pair of distinct proteins once, as PROBE counts them. Proteins without a
    sequence leave a set with all their pairs.

    Args:
      matrices: `500` or `200` → file.
      sequences: anything that `read_sequences` reads with UniProt accessions.
      coordinates: int `.npy` [n, 2] of 0-based rows and columns.

    Raises:
      UserError: a file is not of its form, or coordinates come without the matrix they refer to.
    """
    if (
        not matrices
        or not set(matrices) <= {"500", "200"}
        or (coordinates and "500" not in matrices)
    ):
        raise UserError(
            f"{benchmark}: matrices are those of the sets 500 and 200, and coordinates need "
            "the 500's."
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
    """The neutral layout: for each set a table `a, b, similarity`.

    Raises:
      UserError: a file is not of its form.
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
            f"{path} is no matrix of PROBE: its first line is no list of distinct accessions "
            f"({names[:3]})."
        )
    rows = []
    for line, text in numbered:
        values = [finite(cell) for cell in text.split(",")]
        if len(values) != len(names):
            raise UserError(
                f"{path}, line {line} has {len(values)} fields for {len(names)} proteins; it "
                "is no square matrix."
            )
        rows.append([np.nan if value is None else value for value in values])
    if len(rows) != len(names):
        raise UserError(
            f"{path} has {len(rows)} rows for {len(names)} proteins; it is no square matrix."
        )
    matrix = np.array(rows, np.float64)
    if not np.allclose(matrix, matrix.T, rtol=0, atol=1e-6, equal_nan=True):
        raise UserError(
            f"{path} is not symmetric, so that it holds no similarities; fetch the file again."
        )
    gathered.source(path, len(rows))
    return names, matrix


def _read_coordinates(path: Path, size: int, gathered: Gathered) -> Int[np.ndarray, "P 2"]:
    pairs = read_array(path)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or pairs.dtype.kind not in "iu":
        raise UserError(
            f"{path} holds no pairs of places; take PROBE's SparsifiedSimilarityCoordinates_*.npy."
        )
    if len(pairs) and not 0 <= pairs.min() <= pairs.max() < size:
        raise UserError(
            f"{path} has the place {pairs.max()} among {size} proteins; take the coordinates "
            "of its aspect."
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
    """The set with those pairs whose proteins have sequences and whose similarity is one."""
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
            f"{benchmark}: no pair of {path} has sequences in "
            f"{', '.join(map(str, sequences))}; give their FASTA."
        )
    position = np.cumsum(known) - 1
    same = int((pairs[kept][:, 0] == pairs[kept][:, 1]).sum())
    notes = (
        (*gathered.notes, f"{same} pair is of a protein with itself, as PROBE has it")
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
