"""Draws the residue masks of a record: single residues for MLM, segments for reconstruction (BSR).

A mask is bool over the record's protein tokens; `residues` marks the tokens that are residues (not
<cls>, <eos> or padding).
"""

import math

import numpy as np
from jaxtyping import Bool

RATE = 0.15
MIN_SEGMENT, MAX_SEGMENT = 5, 10


def mlm_count(residues: Bool[np.ndarray, " L"], *, rate: float = RATE) -> int:
    """The number of residues that MLM masks: a share `rate`, rounded, at least one."""
    return max(1, round(rate * np.count_nonzero(residues)))


def draw_residues(
    candidates: Bool[np.ndarray, " L"], rng: np.random.Generator, *, count: int
) -> Bool[np.ndarray, " L"]:
    """Draws `count` candidates uniformly without replacement, or all if there are fewer."""
    mask = np.zeros(candidates.size, bool)
    mask[rng.permutation(candidates.nonzero()[0])[:count]] = True
    return mask


def mlm_mask(
    residues: Bool[np.ndarray, " L"], rng: np.random.Generator, *, rate: float = RATE
) -> Bool[np.ndarray, " L"]:
    """Draws max(1, round(rate · residues)) residues uniformly; none for an empty protein."""
    return draw_residues(residues, rng, count=mlm_count(residues, rate=rate))


def segment_mask(
    residues: Bool[np.ndarray, " L"],
    rng: np.random.Generator,
    *,
    rate: float = RATE,
    min_length: int = MIN_SEGMENT,
    max_length: int = MAX_SEGMENT,
) -> Bool[np.ndarray, " L"]:
    """Draws disjoint contiguous segments that cover at least a share `rate` of the residues.

    Lengths are uniform in min_length…max_length and drawn independently until their sum reaches the
    rate. The placement is uniform among those with at least one residue between neighbours, so
    every run of the mask is one whole segment. Only the last length is shortened, if the sequence
    has no room for it (fewer than max_length residues). A protein of n < min_length residues is
    masked entirely. `rate` is at most 1/2.

    Source: the paper's static segments (5–10 residues, at least 15 % of the residues masked).
    """
    n = np.count_nonzero(residues)
    mask = np.zeros(residues.size, bool)
    if n == 0:
        return mask
    target = math.ceil(rate * n)
    lengths = rng.integers(min_length, max_length + 1, size=-(-target // min_length))
    ends = lengths.cumsum()
    segments = int(ends.searchsorted(target)) + 1
    lengths = lengths[:segments]
    free = n - int(ends[segments - 1]) - (segments - 1)
    if free < 0:
        lengths[-1] += free
        free = 0
    # The last length completed the sum, so it tends to be long; its position must not reveal that.
    rng.shuffle(lengths)
    # Stars and bars: choosing which of the (free residues + segments) are segments gives a uniform
    # placement.
    bars = np.sort(rng.permutation(free + segments)[:segments])
    starts = bars + lengths.cumsum() - lengths
    steps = np.zeros(n + 1, np.int8)
    steps[starts] = 1
    steps[starts + lengths] = -1
    mask[residues] = steps[:n].cumsum(dtype=np.int8)
    return mask


def separate_masks(
    residues: Bool[np.ndarray, " L"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " L"], Bool[np.ndarray, " L"]]:
    """Draws the paper's MLM and segment masks independently, for two protein-tower passes."""
    return mlm_mask(residues, rng), segment_mask(residues, rng)


def disjoint_masks(
    residues: Bool[np.ndarray, " L"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " L"], Bool[np.ndarray, " L"]]:
    """Draws MLM and segment masks without common residues, for one shared masked pass.

    MLM takes its share (of all residues) from the residues outside the segments. It gets fewer, or
    none, only if a short protein has too few of them.
    """
    segments = segment_mask(residues, rng)
    return draw_residues(residues & ~segments, rng, count=mlm_count(residues)), segments


SEPARATE, SINGLE = "separate", "single"
MASKS = {SEPARATE: separate_masks, "shared": disjoint_masks, SINGLE: disjoint_masks}
"""How to draw both masks: for separate masked passes, a shared one, or one pass in total."""
