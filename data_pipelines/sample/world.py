"""The worlds that a sample can be of: how many entries of which confidence, how much they say
and err, how plain motifs are."""

import dataclasses
from collections.abc import Mapping

import numpy as np

NO_ERRORS = dict.fromkeys(range(1, 6), 0.0)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grammar:
    """How a motif shows in a sequence.

    Attributes:
      substitution: probability that a residue of a motif's copy is any other.
      gap: probability that a free residue stands behind a residue of a motif's copy.
      halves: whether an activity is told by the order of two halves that other activities have too,
        which k-mers cannot see.
      between: most residues between the halves.
    """

    substitution: float = 0.0
    gap: float = 0.0
    halves: bool = False
    between: int = 0

    def vary(self, pattern: str, rng: np.random.Generator) -> str:
        """A copy of a pattern as it shows: `x` stands for free residues."""
        copy = []
        for letter in pattern:
            copy.append("x" if rng.random() < self.substitution else letter)
            if rng.random() < self.gap:
                copy.append("x")
        return "".join(copy).rstrip("x") or pattern


@dataclasses.dataclass(frozen=True, kw_only=True)
class World:
    """A world.

    Attributes:
      sources: shares of the sources.
      existence: by source, shares of protein existence 1…5.
      coverage: by source, shares of 1…4 present properties.
      wrong: by existence, the probability that a property (name and function as one) was
        transferred from an unrelated protein.
      unnamed: by existence, the probability that the name says nothing.
      two_places: by property, the probability that a family with room for it has two places of it,
        which only the text tells apart: a second ligand, a second domain, or, of a membrane family,
          a signal peptide before its helix.
      length: median, spread of the logarithm, and bounds of ancestors' lengths: log-normal, redrawn
        outside the bounds, which hold the longest signal, motifs and blocks.
      grammar: of the motifs of activities and ligands.
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
    # Swiss-Prot as published for ProtAnno-S. TrEMBL milder than published for ProtAnno-D: the drop
    # rules would leave 7 % of so small a TrEMBL; of this one they leave a third.
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
"""The demo's: planted motifs that are there letter by letter."""

ORDERED = dataclasses.replace(
    DEMO,
    length=(100, 0.35, (90, 260)),
    grammar=Grammar(substitution=0.15, gap=0.15, halves=True, between=6),
)
"""As the demo's, but motifs have gaps and substitutions, and the order of a motif's halves tells
activities apart."""

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
"""Few Swiss-Prot entries among much TrEMBL, with the shares published for ProtAnno-S and
ProtAnno-D. UniProt itself has 0.2 % of Swiss-Prot, which would be 80 of 40,000 entries."""

MISLEADING = dataclasses.replace(UNIPROT, wrong=UNIPROT.wrong | {4: 1.0, 5: 1.0})
"""Like `UNIPROT`, but every property of an entry of existence 4 or 5 is wrong: a positive control
for sampling by confidence, which has to help here."""

WORLDS = {"demo": DEMO, "ordered": ORDERED, "uniprot": UNIPROT, "misleading": MISLEADING}
