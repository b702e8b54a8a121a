"""Substitutions such as `A24G` or `A24G:C30D`, and the proteins that they produce."""

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""The 20 residues that can be scored, in the order of every score table."""

NO_VARIANT = "it is not a list of substitutions such as A108D"
ANOTHER_WILD_TYPE = "its wild-type residue differs from the reference at that position"
OUTSIDE = "its position is outside the reference"
TWICE = "it has the same position twice"
NOT_STANDARD = f"it has a residue other than {AMINO_ACIDS}"

_SUBSTITUTION = re.compile(r"([A-Z*])(\d{1,6})([A-Z*])")
_SEPARATOR = re.compile(r"[,:]")


class Substitution(NamedTuple):
    """The replacement of one residue."""

    wild_type: str
    index: int
    """0-based."""
    residue: str
    """`*` for a stop codon."""


Variant = tuple[Substitution, ...]
"""A protein's substitutions; empty for the wild type."""


def substitutions(text: str, *, first_position: int) -> list[Substitution] | None:
    """Parses a list of substitutions; None if the text is not such a list.

    Args:
      text: `A24G`, or several separated by commas or colons.
      first_position: the number of the first residue.

    Example:
        >>> substitutions("A24G", first_position=1)
        [Substitution(wild_type='A', index=23, residue='G')]
    """
    found = [_SUBSTITUTION.fullmatch(part.strip()) for part in _SEPARATOR.split(text)]
    if not all(found):
        return None
    return [Substitution(m[1], int(m[2]) - first_position, m[3]) for m in found]


def written(changes: Sequence[Substitution], *, first_position: int = 1) -> str:
    """Formats substitutions for `substitutions`, separated by colons as in ProteinGym."""
    parts = [f"{c.wild_type}{c.index + first_position}{c.residue}" for c in changes]
    return ":".join(parts)


def fault(changes: Sequence[Substitution], wild_type: str) -> str:
    """Returns why substitutions do not fit a protein; '' if they do."""
    if not all(0 <= change.index < len(wild_type) for change in changes):
        return OUTSIDE
    if len({change.index for change in changes}) < len(changes):
        return TWICE
    fitting = all(wild_type[change.index] == change.wild_type for change in changes)
    return "" if fitting else ANOTHER_WILD_TYPE


def scorable_fault(changes: Sequence[Substitution], wild_type: str) -> str:
    """Like `fault`; also rejects residues other than `AMINO_ACIDS`, which cannot be scored."""
    if problem := fault(changes, wild_type):
        return problem
    residues = {change.wild_type for change in changes}
    residues |= {change.residue for change in changes}
    return "" if residues <= set(AMINO_ACIDS) else NOT_STANDARD


def substituted(wild_type: str, changes: Sequence[Substitution]) -> str:
    """Applies substitutions to a protein; stops are `*`.

    Example:
        >>> substituted("MKV", substitutions("K2R", first_position=1))
        'MRV'
    """
    residues = list(wild_type)
    for change in changes:
        residues[change.index] = change.residue
    return "".join(residues)


def differences(wild_type: str, sequence: str) -> Variant | None:
    """The substitutions that turn one protein into another; None if their lengths differ."""
    if len(wild_type) != len(sequence):
        return None
    pairs = enumerate(zip(wild_type, sequence, strict=True))
    return tuple(Substitution(a, index, b) for index, (a, b) in pairs if a != b)


def single_substitutions(sequence: str) -> list[Variant]:
    """All exchanges of one residue of `AMINO_ACIDS` for another, in the order of positions.

    Positions with other letters have none.
    """
    variants = []
    for index, residue in enumerate(sequence):
        if residue in AMINO_ACIDS:
            variants += [(Substitution(residue, index, x),) for x in AMINO_ACIDS if x != residue]
    return variants


def fitting_shift(variants: Sequence[Sequence[Substitution]], wild_type: str) -> int | None:
    """The shift of all positions that makes every variant fit; None if there is none.

    It serves to explain different numbering: a signal peptide cut off, or counting from 0.
    """
    changes = itertools.chain.from_iterable(variants)
    named = {(change.index, change.wild_type) for change in changes}
    if not named:
        return None
    index, residue = min(named)
    votes = Counter(place - index for place, x in enumerate(wild_type) if x == residue)
    for shift in votes:
        inside = all(0 <= at + shift < len(wild_type) for at, _ in named)
        if inside and all(wild_type[at + shift] == x for at, x in named):
            return shift
    return None
