"""Detects sequences of amino-acid letters that are probably not proteins."""

from collections import Counter

MIN_NUCLEOTIDES = 30
"""Minimum length to suspect nucleotides; shorter peptides may consist of A, C, G and T."""

MIN_CODES = 5
"""Minimum number of three-letter codes; hardly any protein consists of that many by chance."""

_NUCLEOTIDES = frozenset("ACGTUN")
_CODES = frozenset(
    (
        *("ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE"),
        *("LEU", "LYS", "MET", "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL"),
    )
)


def commonest_of_most(doubted: Counter, total: int) -> tuple[str, int] | None:
    """Returns the most common doubt and its count if more than half of `total` items have one."""
    return doubted.most_common(1)[0] if 2 * doubted.total() > total else None


def doubt(residues: str) -> str:
    """Names what upper-case letters look like instead of a protein; '' if they look like one."""
    if len(residues) >= MIN_NUCLEOTIDES and _NUCLEOTIDES.issuperset(residues):
        return "nucleotides"
    # Checked lazily, because the second triplet of a protein is hardly ever a code.
    codes = (residues[start : start + 3] for start in range(0, len(residues), 3))
    if len(residues) > 3 * (MIN_CODES - 1) and _CODES.issuperset(codes):
        return "three-letter codes of amino acids"
    return ""
