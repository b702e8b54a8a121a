"""Parameters of samples: how many entries, with which confidence, errors and motif variation."""

import dataclasses
from collections.abc import Mapping

import numpy as np

NO_ERRORS = dict.fromkeys(range(1, 6), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grammar:
    """How motifs appear in sequences.

    Attributes:
      substitution: probability that a residue of a motif's copy is replaced by any residue.
      gap: probability of a free residue after a residue of a motif's copy.
      halves: whether activities differ by the order of two halves that other activities also have,
        which k-mers cannot detect.
      between: maximum number of residues between the halves.
    """

    substitution: float = 0.0
    gap: float = 0.0
    halves: bool = False
    between: int = 0

    def vary(self, pattern: str, rng: np.random.Generator) -> str:
        """A varied copy of a pattern, where `x` is a free residue."""
        copy = []
        for letter in pattern:
            copy.append("x" if rng.random() < self.substitution else letter)
            if rng.random() < self.gap:
                copy.append("x")
        return "".join(copy).rstrip("x") or pattern


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """The parameters of a sample.

    Attributes:
      sources: shares of the sources.
      existence: by source, shares of protein existence 1…5.
      coverage: by source, shares of 1…4 present properties.
      wrong: by existence, the probability that a property (name and function as one) was
        transferred from an unrelated protein.
      unnamed: by existence, the probability that the name is uninformative.
      two_places: by property, the probability that a family with enough room has two places for it,
        which only the text distinguishes: a second ligand, a second domain, or, in a membrane
        family, a signal peptide before the helix.
      length: median, standard deviation of the logarithm, and bounds of the ancestors' log-normal
        lengths. Lengths outside the bounds are redrawn; the lower bound has room for the longest
        signal, motifs and blocks.
      grammar: variation of the motifs of activities and ligands.
    """

    sources: Mapping[str, float]
    existence: Mapping[str, tuple[float, ...]]
    coverage: Mapping[str, tuple[float, ...]]
    wrong: Mapping[int, float]
    unnamed: Mapping[int, float]
    two_places: Mapping[str, float]
    length: tuple[float, float, tuple[int, int]]
    grammar: Grammar


DEMO = World(
    sources={"swissprot": 0.7, "trembl": 0.3},
    # Swiss-Prot as published for ProtAnno-S. TrEMBL is milder than published for ProtAnno-D: the
    # drop rules would leave 7 % of so small a TrEMBL, but leave a third of this one.
    existence={
        "swissprot": (0.1982, 0.0980, 0.6777, 0.0229, 0.0032),
        "trembl": (0.02, 0.08, 0.45, 0.42, 0.03),
    },
    coverage={
        "swissprot": (0.0259, 0.1062, 0.3691, 0.4988),
        "trembl": (0.20, 0.20, 0.30, 0.30),
    },
    wrong={1: 0.02, 2: 0.05, 3: 0.12, 4: 0.35, 5: 0.50},
    unnamed=NO_ERRORS,
    two_places={"function": 0.25, "location": 0.75, "similarity": 0.25},
    length=(70, 0.35, (60, 220)),
    grammar=Grammar(),
)
"""The demo's world, whose planted motifs appear unchanged."""

ORDERED = dataclasses.replace(
    DEMO,
    length=(100, 0.35, (90, 260)),
    grammar=Grammar(substitution=0.15, gap=0.15, halves=True, between=6),
)
"""Like DEMO, but with gaps and substitutions; activities differ by the order of motif halves."""

UNIPROT = dataclasses.replace(
    DEMO,
    sources={"swissprot": 0.02, "trembl": 0.98},
    existence={
        "swissprot": (0.1982, 0.0980, 0.6777, 0.0229, 0.0032),
        "trembl": (0.0013, 0.0057, 0.3269, 0.6661, 0.0),
    },
    coverage={
        "swissprot": (0.0259, 0.1062, 0.3691, 0.4988),
        "trembl": (0.6211, 0.1814, 0.1182, 0.0793),
    },
    unnamed=NO_ERRORS | {4: 0.8},
)
"""Few Swiss-Prot and many TrEMBL entries, with the shares published for ProtAnno-S and ProtAnno-D.

UniProt itself has 0.2 % Swiss-Prot, which would be 80 of 40,000 entries.
"""

MISLEADING = dataclasses.replace(UNIPROT, wrong=UNIPROT.wrong | {4: 1.0, 5: 1.0})
"""Like `UNIPROT`, but every property at existence level 4 or 5 is wrong: a positive control.

Sampling by confidence has to help here."""

WORLDS = {"demo": DEMO, "ordered": ORDERED, "uniprot": UNIPROT, "misleading": MISLEADING}
