"""Counts held-out sequences with a relative in training, to check how well splits are separated."""

import numpy as np
from jaxtyping import Bool, Int64, UInt8, UInt16, UInt32

from data_pipelines.build import minhash
from data_pipelines.protanno.clusters import HELD_OUT, SPLITS

SAMPLE = 10_000
"""Maximum number of held-out sequences to check per split, evenly spaced in hash order."""

_OTHERS_AT_ONCE = 1 << 10
"""If all of these share a key with all queries, the pairs take at most 160 MB."""


def sample(codes: UInt8[np.ndarray, " n"]) -> dict[str, np.ndarray]:
    """Maps held-out splits to the indices of the sequences to check.

    `codes` are the splits of all records, as indices into `SPLITS`.
    """
    members = {name: np.flatnonzero(codes == SPLITS.index(name)) for name in HELD_OUT}
    return {name: positions[_spread(len(positions))] for name, positions in members.items()}


def _spread(count: int) -> np.ndarray:
    return np.arange(count) if count <= SAMPLE else np.arange(SAMPLE) * count // SAMPLE


def have_relatives(
    queries: UInt16[np.ndarray, "q hashes"], others: UInt16[np.ndarray, "n hashes"]
) -> Bool[np.ndarray, " q"]:
    """Which queries have a relative among the candidates that the `minhash` bands give."""
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
    """All pairs of indices whose numbers are equal."""
    start, stop = (np.searchsorted(ascending, numbers, side=side) for side in ("left", "right"))
    counts = stop - start
    position = np.repeat(np.arange(len(numbers)), counts)
    offset = np.arange(len(position)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.stack([start[position] + offset, position], axis=1)


def result(found: Bool[np.ndarray, "2 q"], *, sequences: int) -> dict:
    """Builds the entry of a held-out split with `sequences` sequences for `statistics.json`.

    Args:
      found: which checked sequences have a relative among training records with text (row 0) and
        without text (row 1).
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
