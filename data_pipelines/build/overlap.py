"""How many held-out sequences have a relative in training: whether a split keeps apart what is
similar."""

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt16, UInt32

from data_pipelines.build import minhash
from data_pipelines.protanno.clusters import HELD_OUT, SPLITS

SAMPLE = 10_000
"""Held-out sequences of a split that are looked up, evenly spread over the order of their
hashes; all if there are fewer."""

_OTHERS_AT_ONCE = 1 << 10
"""Even if all of them share a key with all queries, the pairs take no more than 160 MB."""


def sample(codes: UInt8[np.ndarray, " n"]) -> dict[str, np.ndarray]:
    """Held-out split → places of the sequences to look up among all records, whose splits
    (places in `SPLITS`) are `codes`."""
    members = {name: np.flatnonzero(codes == SPLITS.index(name)) for name in HELD_OUT}
    return {name: positions[_spread(len(positions))] for name, positions in members.items()}


def _spread(count: int) -> np.ndarray:
    return np.arange(count) if count <= SAMPLE else np.arange(SAMPLE) * count // SAMPLE


def have_relatives(
    queries: UInt16[np.ndarray, "q hashes"], others: UInt16[np.ndarray, "n hashes"]
) -> Bool[np.ndarray, " q"]:
    """Which queries have a relative among the others, of those that the bands of `minhash` make
    candidates."""
    found = np.zeros(len(queries), bool)
    for band in range(minhash.BANDS):
        (order,) = np.nonzero(~found)
        keys = minhash.band_keys(queries)[order, band]
        order, keys = order[np.argsort(keys)], np.sort(keys)
        for first in range(0, len(others), _OTHERS_AT_ONCE):
            part = others[first : first + _OTHERS_AT_ONCE]
            positions = _equal(keys, minhash.band_keys(part)[:, band])
            pairs = np.stack([order[positions[:, 0]], positions[:, 1]], axis=1)
            found[pairs[minhash.are_relatives(queries, part, pairs), 0]] = True
    return found


def _equal(
    ascending: UInt32[np.ndarray, " a"], numbers: UInt32[np.ndarray, " b"]
) -> Int64[np.ndarray, "m 2"]:
    """All pairs of places with the same number in both."""
    start, stop = (np.searchsorted(ascending, numbers, side=side) for side in ("left", "right"))
    counts = stop - start
    position = np.repeat(np.arange(len(numbers)), counts)
    offset = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([start[position] + offset, position], axis=1)


def result(found: Bool[np.ndarray, "2 q"], *, sequences: int) -> dict:
    """What `statistics.json` tells of a held-out split of so many sequences.

    Args:
      found: of those looked up, which have a relative among training records with text, and
        among those without.
    """
    related, bare = found
    return {
        "sequences": sequences,
        "sampled": len(related),
        "related": int(related.sum()),
        "share": float(related.mean()) if len(related) else 0.0,
        "similarity": minhash.SIMILARITY,
        "related_without_text": int(bare.sum()),
    }
