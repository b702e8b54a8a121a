"""One vector per protein from any model's file, found by sequence hash, id or accession."""

import dataclasses
import itertools
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import file_sha256, sequence_hash
from data_pipelines.protanno.accession import uniprot_accession
from eval.data.base.proteins import Proteins
from eval.data.graphs.vector_files import read_named_vectors
from eval.protocols.problem import Features

SHOWN = 3
"""Names in a message on missing vectors."""
_HASH = re.compile(r"[0-9a-f]{64}")


class Found(NamedTuple):
    """Where the vectors of a benchmark's proteins are."""

    rows: Mapping[str, int]
    """Sequence → row of the file."""
    by_name: int
    """How many were found by id or accession, so their sequence may differ."""


@dataclasses.dataclass(frozen=True)
class VectorFile:
    """The vectors of a file, by every key that stands for one of them.

    Attributes:
      path: HDF5, Parquet or NPZ, as `eval.data.graphs.vector_files` reads them.
      fingerprint: SHA-256 of the file.
      values: float32 [n, D].
      positions: key → row.
    """

    path: Path
    fingerprint: str
    values: Float32[np.ndarray, "n D"]
    positions: Mapping[str, int]

    @classmethod
    def read(cls, path: Path) -> "VectorFile":
        """Reads the file whole.

        Raises:
          UserError: it is missing, or holds no vectors of proteins.
        """
        if not path.is_file():
            raise UserError(f"{path} does not exist; give a file of embeddings.")
        vectors = read_named_vectors(path)
        if not vectors.ids:
            raise UserError(f"{path} holds no vectors; embed the proteins of the benchmarks.")
        keys = [
            {*_keys(id), *filter(_HASH.fullmatch, [key])}
            for id, key in zip(vectors.ids, vectors.keys, strict=True)
        ]
        counts = Counter(key for of_vector in keys for key in of_vector)
        positions = {
            key: row for row, of_vector in enumerate(keys) for key in of_vector if counts[key] == 1
        }
        # An id is what the file says; an accession that another id holds too is a guess.
        positions |= {id: row for row, id in enumerate(vectors.ids)}
        return cls(path, file_sha256(path), vectors.values, positions)

    def find(self, proteins: Proteins) -> Found:
        """The vector of every protein, by sequence hash or by an unambiguous name or accession.

        Raises:
          UserError: some have none; the sentence counts them and names the first.
        """
        names = _unambiguous(proteins)
        rows, missing, by_name = {}, [], 0
        for sequence in proteins:
            keys = [sequence_hash(sequence), *names[sequence]]
            known = [key for key in keys if key in self.positions]
            if not known:
                missing.append(sequence)
                continue
            rows[sequence] = self.positions[known[0]]
            by_name += known[0] != keys[0]
        if missing:
            raise UserError(self._lacks(proteins, missing))
        return Found(rows, by_name)

    def _lacks(self, proteins: Proteins, missing: Sequence[str]) -> str:
        shown = ", ".join(min(proteins[sequence]) for sequence in missing[:SHOWN])
        return (
            f"{self.path} lacks vectors of {len(missing):,} of {len(proteins):,} proteins, "
            f"such as {shown}; "
            "embed the FASTA file that `python -m eval.data.proteins` writes."
        )

    def embedder(self, proteins: Proteins) -> Features:
        """Sequences of a benchmark to their vectors; see `find`."""
        rows = self.find(proteins).rows
        return lambda sequences: self.values[[rows[sequence] for sequence in sequences]]


def _keys(id: str) -> Iterator[str]:
    """An id, and the accession in it unless it is that of an isoform, which is another sequence."""
    yield id
    if (accession := uniprot_accession(id)) and "-" not in id:
        yield accession


def _unambiguous(proteins: Proteins) -> dict[str, list[str]]:
    """For each sequence its unambiguous names and accessions, in a fixed order."""
    stands_for = defaultdict(set)
    for sequence, names in proteins.items():
        for key in (key for name in names for key in _keys(name)):
            stands_for[key].add(sequence)
    found = {}
    for sequence, names in proteins.items():
        keys = itertools.chain.from_iterable(map(_keys, sorted(names)))
        found[sequence] = [key for key in keys if len(stands_for[key]) == 1]
    return found
