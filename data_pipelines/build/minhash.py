"""k-mer MinHash: estimates sequence similarity from 256-byte sketches and finds similar sequences.

The similarity of two sequences is the Jaccard index of their sets of 4-mers. For each of 128 hash
functions, a sketch stores 16 bits of the smallest hash over the set. Two sketches agree at a
position with a probability equal to the similarity (+ 2^-16). The standard deviation of the
estimate is 0.044 at similarity 0.5 and 0.027 at 0.1. Two sequences are candidates if their sketches
agree at both positions of one of 64 pairs. This happens to 47 % of sequences of similarity 0.1, to
93 % at 0.2 and to 99.8 % at 0.3.

Substitutions at a fraction 1 - p of the sites leave about p^4 of the 4-mers. So `SIMILARITY` is
reached by sequences of equal length down to about 65 % identity. More remote relatives, and
fragments below a tenth of the other's length, are missed; use MMseqs2 or CD-HIT for those.
Unrelated sequences of 300 residues have a similarity of 0.001, of 5,000 residues 0.016.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt16, UInt32

from data_pipelines.common.hashing import hash64

K = 4
HASHES = 128
BANDS = HASHES // 2

SIMILARITY = 0.1
"""Sequences with at least this estimated similarity are relatives."""

MAX_REPRESENTATIVES = 8
"""How many sequences per bucket the others are compared with; keeps the work linear in a bucket."""

PARAMETERS = {
    "k": K,
    "hashes": HASHES,
    "bands": BANDS,
    "similarity": SIMILARITY,
    "representatives": MAX_REPRESENTATIVES,
}
"""Stored in a dataset's provenance."""

_SEQUENCES_AT_ONCE = 1 << 8
_PAIRS_AT_ONCE = 1 << 14

_LETTERS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
_CODES = np.zeros(256, np.uint32)
_CODES[_LETTERS] = np.arange(1, 21)
_ODD = [hash64(f"minhash {position}") | 1 for position in range(HASHES)]
_FACTORS = np.array(_ODD, np.uint64).astype(np.uint32)
"""Odd factors, so that multiplication permutes the 32-bit numbers."""


def _mix(value: UInt32[np.ndarray, "*n"]) -> UInt32[np.ndarray, "*n"]:
    """Mixes 32-bit numbers bijectively: every bit affects all others (MurmurHash3's finalizer)."""
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))


def kmers(sequences: Sequence[str]) -> tuple[UInt32[np.ndarray, " n"], Int64[np.ndarray, " edges"]]:
    """Encodes all 4-mers of standard residues as 20-bit numbers, in order.

    Also returns the edges: where each sequence's 4-mers begin, and where the last ones end.
    """
    # A space, which is not a residue, separates the sequences.
    codes = _CODES[
        np.frombuffer(" ".join([*sequences, " " * K]).encode("ascii", "replace"), np.uint8)
    ]
    count = len(codes) - K + 1
    words, standard = np.zeros(count, np.uint32), np.ones(count, bool)
    for position in range(K):
        letters = codes[position : position + count]
        words = words << np.uint32(5) | letters
        standard &= letters > 0
    starts = np.cumsum([0, *(len(sequence) + 1 for sequence in sequences)])
    return words[standard], np.concatenate([[0], np.cumsum(standard)])[starts]


def sketches(sequences: Sequence[str]) -> UInt16[np.ndarray, "n hashes"]:
    """Computes the sketch of each sequence; one without a 4-mer is only similar to itself."""
    least = np.empty((len(sequences), HASHES), np.uint32)
    for first in range(0, len(sequences), _SEQUENCES_AT_ONCE):
        part = sequences[first : first + _SEQUENCES_AT_ONCE]
        words, edges = kmers(part)
        words = _mix(words)[:, None]
        for row, sequence, start, stop in zip(
            least[first:], part, edges[:-1], edges[1:], strict=False
        ):
            own = words[start:stop] if start < stop else np.uint32([[hash64(sequence) >> 32]])
            (own * _FACTORS).min(axis=0, out=row)
    # The high bits of a minimum hardly vary; mixing makes any 16 bits equally informative.
    return (_mix(least) >> np.uint32(16)).astype(np.uint16)


def band_keys(sketch: UInt16[np.ndarray, "n hashes"]) -> UInt32[np.ndarray, "n bands"]:
    """Combines the two positions of each band into one number."""
    return sketch.view(np.uint32)


def similarity(
    first: UInt16[np.ndarray, "n hashes"], second: UInt16[np.ndarray, "n hashes"]
) -> Float[np.ndarray, " n"]:
    """Estimates the similarity of sequences, pair by pair."""
    return (first == second).mean(axis=1)


def are_relatives(
    first: UInt16[np.ndarray, "a hashes"],
    second: UInt16[np.ndarray, "b hashes"],
    pairs: Int64[np.ndarray, "m 2"],
) -> Bool[np.ndarray, " m"]:
    """Which pairs (a row of the first array, a row of the second) are relatives.

    Reads a few MB of rows at a time.
    """
    chunks = np.split(pairs, range(_PAIRS_AT_ONCE, len(pairs), _PAIRS_AT_ONCE))
    found = [similarity(first[chunk[:, 0]], second[chunk[:, 1]]) >= SIMILARITY for chunk in chunks]
    return np.concatenate(found)


def bucket_links(
    keys: UInt32[np.ndarray, " n"], sketch: UInt16[np.ndarray, "n hashes"]
) -> Int64[np.ndarray, "m 2"]:
    """Finds pairs of relatives with the same key in one band, enough of them to join all relatives.

    In a bucket (the sequences with the same key), each sequence is compared with the first one.
    Those that are not its relatives are compared with the first of them, and so on, up to
    `MAX_REPRESENTATIVES` times.

    Args:
      keys: the key of each sequence in the band; "first" refers to this order.
      sketch: the sketch of each sequence; may be an array on disk, because rows are read as needed.
    """
    order = np.argsort(keys, kind="stable")
    order = order[_in_company(keys[order])]
    links = [np.zeros((0, 2), np.int64)]
    for _ in range(MAX_REPRESENTATIVES):
        bucket = keys[order]
        starts = np.flatnonzero(np.diff(bucket, prepend=~bucket[:1]))
        first = np.repeat(order[starts], np.diff(starts, append=len(order)))
        pairs = np.stack([first, order], axis=1)
        relatives = are_relatives(sketch, sketch, pairs)
        links.append(pairs[relatives & (first != order)])
        order = order[~relatives]
        order = order[_in_company(keys[order])]
        if not len(order):
            break
    return np.concatenate(links)


def _in_company(ordered: UInt32[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which of these ascending numbers have an equal neighbour."""
    same = ordered[1:] == ordered[:-1]
    return (
        np.concatenate([[False], same])[: len(ordered)]
        | np.concatenate([same, [False]])[: len(ordered)]
    )
