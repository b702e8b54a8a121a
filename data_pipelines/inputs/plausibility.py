"""What a sequence of amino-acid letters more probably is than a protein."""

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


def doubt(residues: str) -> str:
    """What upper-case letters look like if not like a protein; '' if nothing speaks against one."""
    if len(residues) >= MIN_NUCLEOTIDES and _NUCLEOTIDES.issuperset(residues):
        return "nucleotides"
    # One after the other, as hardly any protein has a code for its second.
    codes = (residues[start : start + 3] for start in range(0, len(residues), 3))
    if len(residues) > 3 * (MIN_CODES - 1) and _CODES.issuperset(codes):
        return "three-letter codes of amino acids"
    return ""
