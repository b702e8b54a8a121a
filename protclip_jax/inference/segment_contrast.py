"""Contrasts a property's weights with those for other records' texts, residue by residue.

PDA weights are similar for all texts of a property: where sites of a kind are frequent, every text
of that kind has weight. The difference to other texts shows what is specific to a text.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from data_pipelines.common.errors import UserError
from protclip_jax.objectives.segment_alignment import MIN_RANGE

FEWEST_OTHERS = 20
"""The minimum number of other texts for a band; with fewer, 5 % is less than one text."""
BAND = (0.05, 0.95)
"""The quantiles of other texts' differences that bound the band."""
SMOOTHED_FROM = 400
"""The length from which profiles are smoothed.

Each multiple of it widens the window by one residue on both sides.
"""
TOP = 5
"""The maximum number of residues named in a sentence."""


class Contrast(NamedTuple):
    """A property's weights compared with those for other texts, over the L residues of a protein.

    With w_j(t) the PDA weight of residue j for a text t, and h = ⌊L / 400⌋,

        s_j(t) = mean of w_i(t) over the residues i with |i − j| ≤ h
        difference_j = s_j(own) − (1/m) Σ_t s_j(t)
        d_j(t) = s_j(t) − (1/(m − 1)) Σ_{u ≠ t} s_j(u)
        low_j, high_j = the 5 % and 95 % quantiles of d_j(t) over t

    where t and u run over m other texts: each of them is treated like the own text. If the own text
    is no more specific than the others, a tenth of the residues lies outside the band.

    Attributes:
      own: s(own).
      others: m.
      half_window: h; 0 where nothing was smoothed.
    """

    own: Float[np.ndarray, " L"]
    difference: Float[np.ndarray, " L"]
    low: Float[np.ndarray, " L"]
    high: Float[np.ndarray, " L"]
    others: int
    half_window: int

    def as_json(self) -> dict:
        """A dict for JSON: lists of L numbers, the number of other texts, and the window's size."""
        columns = {name: getattr(self, name).tolist() for name in ("difference", "low", "high")}
        return columns | {"others": self.others, "window": 2 * self.half_window + 1}

    def stands_out(self) -> np.ndarray:
        """Marks the residues above the band, bool [L]."""
        return self.difference > self.high


def contrast(own: Float[np.ndarray, " L"], others: Float[np.ndarray, "m L"]) -> Contrast:
    """The contrast of one text's weights with those for other texts (see `Contrast`).

    Raises:
      UserError: there are fewer than `FEWEST_OTHERS` other texts.
    """
    count, residues = others.shape
    if count < FEWEST_OTHERS:
        raise UserError(
            f"a band needs {FEWEST_OTHERS} other texts of the property, but there are only "
            f"{count}; use a larger index, dataset or library of labels."
        )
    half = residues // SMOOTHED_FROM
    own, others = smoothed(own, half), np.stack([smoothed(row, half) for row in others])
    mean = others.mean(axis=0)
    low, high = np.quantile((others - mean) * count / (count - 1), BAND, axis=0)
    return Contrast(own, own - mean, low, high, count, half)


def smoothed(values: Float[np.ndarray, " L"], half: int) -> Float[np.ndarray, " L"]:
    """The float64 mean over each residue and up to `half` neighbours on both sides."""
    sums = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    places = np.arange(len(values))
    first, last = np.maximum(places - half, 0), np.minimum(places + half + 1, len(values))
    return (sums[last] - sums[first]) / (last - first)


def segment_weights(
    residues: Float[np.ndarray, "L d"], texts: Float[np.ndarray, "m d"], theta: float
) -> Float[np.ndarray, "m L"]:
    """PDA weights of one protein for many texts, as in `dynamic_segment_weights`.

    Args:
      residues: projected residues, not normalised.
      texts: property vectors (`property_vectors`).
    """
    similarity = texts @ residues.T
    low, high = (edge(similarity, axis=1, keepdims=True) for edge in (np.min, np.max))
    spread = high - low > MIN_RANGE
    normalised = np.where(spread, (similarity - low) / np.where(spread, high - low, 1.0), 1.0)
    kept = np.where(normalised >= theta, normalised, 0.0)
    return kept / kept.sum(axis=1, keepdims=True)


def describe_contrast(name: str, sequence: str, found: Contrast) -> str:
    """A sentence on the residues above the band."""
    above = np.flatnonzero(found.stands_out())
    excess = found.difference - found.high
    best = above[np.argsort(-excess[above], kind="stable")][:TOP]
    named = ", ".join(f"{sequence[place]}{place + 1}" for place in best)
    share = f"{len(above)} of {len(sequence)} residues lie above the band of {found.others} other"
    return f"{name}: {share} texts{f'; farthest above: {named}' if named else ''}"
