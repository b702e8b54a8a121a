"""Substitutions as people write them, `A24G` or `A24G:C30D`, and the proteins that they make."""

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

AMINO_ACIDS = "ACDEFGHIKLMNPQRSTVWY"
"""The 20 that a substitution may be scored for, in the order of every table of scores."""

NO_VARIANT = "it is no list of substitutions such as A108D"
ANOTHER_WILD_TYPE = "it names another wild-type residue than the reference has there"
OUTSIDE = "it names a position outside the reference"
TWICE = "it names a position twice"
NOT_STANDARD = f"it names a residue that is none of {AMINO_ACIDS}"

_SUBSTITUTION = re.compile(r"([A-Z*])(\d{1,6})([A-Z*])")
_SEPARATOR = re.compile(r"[,:]")


class Substitution(NamedTuple):
    """One residue in place of another."""

    wild_type: str
    index: int
    """0-based."""
    residue: str
    """`*` for a stop codon."""


Variant = tuple[Substitution, ...]
"""A protein's substitutions; the wild type has none."""


def substitutions(text: str, *, first_position: int) -> list[Substitution] | None:
    """What a list of substitutions says; None if it is no such list.

    Args:
      text: `A24G`, or several separated by commas or colons.
      first_position: the number of the first residue.
    """
    found = [_SUBSTITUTION.fullmatch(part.strip()) for part in _SEPARATOR.split(text)]
    if not all(found):
        return None
    return [Substitution(m[1], int(m[2]) - first_position, m[3]) for m in found]


def written(changes: Sequence[Substitution], *, first_position: int = 1) -> str:
    """The list as `substitutions` reads it, separated by colons as ProteinGym's."""
    parts = [f"{c.wild_type}{c.index + first_position}{c.residue}" for c in changes]
    return ":".join(parts)


def fault(changes: Sequence[Substitution], wild_type: str) -> str:
    """Why these substitutions do not fit this protein, '' if they do."""
    if not all(0 <= change.index < len(wild_type) for change in changes):
        return OUTSIDE
    if len({change.index for change in changes}) < len(changes):
        return TWICE
    fitting = all(wild_type[change.index] == change.wild_type for change in changes)
    return "" if fitting else ANOTHER_WILD_TYPE


def scorable_fault(changes: Sequence[Substitution], wild_type: str) -> str:
    """As `fault`; and why they cannot be scored where a residue is none of `AMINO_ACIDS`."""
    if problem := fault(changes, wild_type):
        return problem
    residues = {residue for change in changes for residue in (change.wild_type, change.residue)}
    return "" if residues <= set(AMINO_ACIDS) else NOT_STANDARD


def substituted(wild_type: str, changes: Sequence[Substitution]) -> str:
    """The protein with its substitutions, stops as `*`."""
    residues = list(wild_type)
    for change in changes:
        residues[change.index] = change.residue
    return "".join(residues)


def differences(wild_type: str, sequence: str) -> Variant | None:
    """The substitutions that lead from one protein to another; None where their lengths differ."""
    if len(wild_type) != len(sequence):
        return None
    pairs = enumerate(zip(wild_type, sequence, strict=True))
    return tuple(Substitution(a, index, b) for index, (a, b) in pairs if a != b)


def single_substitutions(sequence: str) -> list[Variant]:
    """Every exchange of one residue of `AMINO_ACIDS` for another, in the order of positions.

    Positions of other letters have none.
    """
    variants = []
    for index, residue in enumerate(sequence):
        if residue in AMINO_ACIDS:
            variants += [(Substitution(residue, index, x),) for x in AMINO_ACIDS if x != residue]
    return variants


def fitting_shift(variants: Sequence[Sequence[Substitution]], wild_type: str) -> int | None:
    """How far all positions must be moved for every variant to fit; None where no one shift does.

    It is for a sentence about another numbering: signal peptides cut off, or counting from 0.
    """
    named = {(change.index, change.wild_type) for changes in variants for change in changes}
    if not named:
        return None
    index, residue = min(named)
    votes = Counter(place - index for place, x in enumerate(wild_type) if x == residue)
    for shift in votes:
        inside = all(0 <= at + shift < len(wild_type) for at, _ in named)
        if inside and all(wild_type[at + shift] == x for at, x in named):
            return shift
    return None
