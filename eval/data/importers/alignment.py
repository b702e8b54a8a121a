"""Reads alignments of homologues: aligned FASTA, or A2M with insertions in lower case."""

from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines

ANOTHER_LENGTH = "its length differs from that of the alignment's first sequence"


def read_alignment(path: Path, wild_type: str, gathered: Gathered) -> tuple[str, ...]:
    """Reads every sequence in the wild type's columns, `-` where it has no residue.

    The first sequence is the wild type or a part of it; its letters, of either case, mark the
    columns that are kept.

    Raises:
      UserError: the file is not FASTA, or its first sequence is not part of the wild type.
    """
    found = _records(path)
    first = found[0][1] if found else ""
    own = "".join(letter for letter in first if letter.isalpha()).upper()
    start = wild_type.find(own) if own else -1
    if start < 0:
        raise UserError(f"{path}: its first sequence is not part of the wild type; check both.")
    columns = [place for place, letter in enumerate(first) if letter.isalpha()]
    before, behind = "-" * start, "-" * (len(wild_type) - start - len(own))
    aligned = []
    for line, text in found:
        if len(text) == len(first):
            aligned.append(before + "".join(text[place] for place in columns).upper() + behind)
        else:
            gathered.reject(path, line, text[:100], ANOTHER_LENGTH)
    gathered.source(path, len(found))
    return tuple(aligned)


def _records(path: Path) -> list[tuple[int, str]]:
    """Yields the line where each record begins, and its letters."""
    found: list[tuple[int, list[str]]] = []
    for number, line in lines(path):
        if line.startswith(">"):
            found.append((number, []))
        elif not found:
            raise UserError(f"{path} is not FASTA: line {number} comes before the first header.")
        else:
            found[-1][1].append("".join(line.split()))
    return [(number, "".join(parts)) for number, parts in found]
