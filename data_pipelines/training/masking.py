"""Masks of residues, drawn per record: single residues for MLM, contiguous segments for segment
reconstruction (BSR).

A mask is bool over the record's protein tokens; `residues` says which tokens are residues (not
<cls>, <eos>, padding).
"""

import math

import numpy as np
from jaxtyping import Bool

RATE = 0.15
MIN_SEGMENT, MAX_SEGMENT = 5, 10


def mlm_count(residues: Bool[np.ndarray, " L"], *, rate: float = RATE) -> int:
    """How many residues MLM masks: `rate` of them, rounded, at least one."""
    return max(1, round(rate * np.count_nonzero(residues)))


def draw_residues(
    candidates: Bool[np.ndarray, " L"], rng: np.random.Generator, *, count: int
) -> Bool[np.ndarray, " L"]:
    """Exactly `count` of the candidates, uniformly without replacement; all of them when there
    are fewer."""
    mask = np.zeros(candidates.size, bool)
    mask[rng.permutation(candidates.nonzero()[0])[:count]] = True
    return mask


def mlm_mask(
    residues: Bool[np.ndarray, " L"], rng: np.random.Generator, *, rate: float = RATE
) -> Bool[np.ndarray, " L"]:
    """Exactly max(1, round(rate · residues)) residues, uniformly without replacement; none of an
    empty protein."""
    return draw_residues(residues, rng, count=mlm_count(residues, rate=rate))


def segment_mask(
    residues: Bool[np.ndarray, " L"],
    rng: np.random.Generator,
    *,
    rate: float = RATE,
    min_length: int = MIN_SEGMENT,
    max_length: int = MAX_SEGMENT,
) -> Bool[np.ndarray, " L"]:
    """Disjoint contiguous segments, lengths uniform in min_length…max_length, covering at least
    `rate` of the residues.

    Lengths are drawn independently until their sum reaches the rate; then one of all placements
    that leave at least one residue between neighbours is drawn uniformly, so every run of the mask
    is one whole segment. No length is ever shortened, except the last where the sequence has no
    room for it (fewer than max_length residues): a protein of n < min_length residues is masked
    whole. `rate` is at most 1/2.

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
    # The last length ended the sum, so it tends to be long: its place in the sequence must not
    # tell.
    rng.shuffle(lengths)
    # Stars and bars: choosing which of the free residues and segments are segments places them
    # uniformly.
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
    """The paper's MLM and segment masks: drawn independently, for two passes of the protein
    tower."""
    return mlm_mask(residues, rng), segment_mask(residues, rng)


def disjoint_masks(
    residues: Bool[np.ndarray, " L"], rng: np.random.Generator
) -> tuple[Bool[np.ndarray, " L"], Bool[np.ndarray, " L"]]:
    """MLM and segment masks without a common residue, for one shared masked pass.

    MLM takes its share (of all residues) from the residues outside the segments; it gets fewer,
    down to none, only where a short protein has no more.
    """
    segments = segment_mask(residues, rng)
    return draw_residues(residues & ~segments, rng, count=mlm_count(residues)), segments


SEPARATE, SINGLE = "separate", "single"
MASKS = {SEPARATE: separate_masks, "shared": disjoint_masks, SINGLE: disjoint_masks}
"""How the two masks of a record are drawn, by name: for separate masked passes, for a shared
one, or for one pass in all."""
