"""What a sequence of amino-acid letters more probably is than a protein."""

from collections import Counter

MIN_NUCLEOTIDES = 30
"""Shorter peptides may be of A, C, G and T alone."""

MIN_CODES = 5
"""Of three-letter codes in a row, which by chance hardly any protein consists of."""

_NUCLEOTIDES = frozenset("ACGTUN")
_CODES = frozenset(
    (
        *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
        *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
    )
)


def commonest_of_most(doubted: Counter, total: int) -> tuple[str, int] | None:
    """The commonest doubt and its count where more than half of so many items are doubted, None
    where not."""
    return doubted.most_common(1)[0] if 2 * doubted.total() > total else None


def doubt(residues: str) -> str:
    """What upper-case letters look like if not like a protein; '' if nothing speaks against one."""
    if len(residues) >= MIN_NUCLEOTIDES and _NUCLEOTIDES.issuperset(residues):
        return "nucleotides"
    # One after the other, as hardly any protein has a code for its second.
    codes = (residues[start : start + 3] for start in range(0, len(residues), 3))
    if len(residues) > 3 * (MIN_CODES - 1) and _CODES.issuperset(codes):
        return "three-letter codes of amino acids"
    return ""
