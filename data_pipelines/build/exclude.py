"""Keeps the sequences of benchmark test files out of a dataset."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.inputs.plausibility import commonest_of_most, doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.readers.fasta import read_fasta


def read_excluded(paths: Iterable[Path]) -> dict[int, tuple[str, ...]]:
    """Maps the `sequence_key` of each sequence in FASTA files (plain or gzip) to the file names.

    Raises:
      UserError: a file cannot be read, a sequence is not a protein, or most sequences look like
        nucleotides, because unreadable sequences cannot be kept out.
    """
    excluded: dict[int, tuple[str, ...]] = {}
    for path in paths:
        sequences, doubted = 0, Counter()
        for item in read_fasta(path):
            try:
                sequence = clean_protein(item.text).sequence
            except ValueError as error:
                fault = item.fault or error
                raise UserError(
                    f"{path} line {item.line}: {item.id} is not a protein ({fault}); "
                    "fix or remove it."
                ) from error
            sequences += 1
            doubted.update(filter(None, [doubt(sequence)]))
            key = hash64(sequence)
            names = excluded.get(key, ())
            if path.name not in names:
                excluded[key] = (*names, path.name)
        if most := commonest_of_most(doubted, sequences):
            what, count = most
            raise UserError(
                f"{path}: {count} of {sequences} sequences look like {what}, which match no "
                "proteins; translate them first."
            )
    return excluded


def sequence_key(sequence: str) -> int:
    """Hashes a sequence as the model reads it: case, gaps, a final stop and J for X don't matter.

    Two sequences share a key by chance once in 10^5 builds of all UniProt against a million
    sequences.

    Raises:
      ValueError: the sequence is not a protein; the message gives the reason.
    """
    return hash64(clean_protein(sequence).sequence)


def files_with(sequence: str, excluded: Mapping[int, tuple[str, ...]]) -> tuple[str, ...]:
    """The names of the files that contain a record's sequence."""
    return excluded.get(sequence_key(sequence), ()) if excluded else ()
