"""Keeping the sequences of benchmark test files out of a dataset."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.readers.fasta import read_fasta


def read_excluded(paths: Iterable[Path]) -> dict[int, tuple[str, ...]]:
    """`sequence_key` of each sequence of FASTA files (plain or gzip) → the names of the files it is in.

    Raises:
      UserError: a file cannot be read, or holds something that is no protein: what cannot be read cannot be kept out.
    """
    excluded: dict[int, tuple[str, ...]] = {}
    for path in paths:
        for item in read_fasta(path):
            try:
                key = sequence_key(item.text)
            except ValueError as error:
                fault = item.fault or error
                raise UserError(f"{path} line {item.line}: {item.id} is no protein ({fault}); mend or remove it.") from error
            names = excluded.get(key, ())
            if path.name not in names:
                excluded[key] = (*names, path.name)
    return excluded


def sequence_key(sequence: str) -> int:
    """64 bits of a sequence as the model reads it, so that case, gaps, a final stop and J for X make no difference.

    Two sequences share a key by chance once in 10^5 builds of all UniProt against a million sequences.

    Raises:
      ValueError: it is no protein; the message says why.
    """
    return hash64(clean_protein(sequence).sequence)


def files_with(sequence: str, excluded: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the files that hold a record's sequence."""
    return excluded.get(sequence_key(sequence), ()) if excluded else ()
