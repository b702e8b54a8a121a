"""k-mer MinHash: how similar two sequences are, from 256 bytes of each, and how to find the similar
ones among many.

The similarity of two sequences is the Jaccard index of their sets of 4-mers. A sketch holds, for
each of 128 hash functions, 16 bits of the least hash over the set, so that two sketches agree in a
place with a probability of the similarity (+ 2^-16): the estimate is off by at most 0.044 (one
standard deviation, at similarity 0.5; 0.027 at 0.1). Two sequences are candidates if they agree in
both places of one of the sketch's 64 pairs, which happens to 47 % of those of similarity 0.1, to 93
% at 0.2 and to 99.8 % at 0.3.

Substitutions at a share 1 - p of the sites leave about p^4 of the 4-mers: `SIMILARITY` is met by
sequences of the same length down to about 65 % identity. More remote relatives, and fragments below
a tenth of the other's length, are not found: use MMseqs2 or CD-HIT for those. Unrelated
sequences of 300 residues have a similarity of 0.001, of 5,000 residues 0.016.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt16, UInt32

from data_pipelines.common.hashing import hash64

K = 4
HASHES = 128
BANDS = HASHES // 2

SIMILARITY = 0.1
"""Sequences at least this similar, as sketches estimate it, are relatives."""

MAX_REPRESENTATIVES = 8
"""Sequences of one bucket that the others are compared with: what keeps the work linear where
many share a pair."""

PARAMETERS = {
    "k": K,
    "hashes": HASHES,
    "bands": BANDS,
    "similarity": SIMILARITY,
    "representatives": MAX_REPRESENTATIVES,
}
"""For a dataset's provenance."""

_SEQUENCES_AT_ONCE = 1 << 8
_PAIRS_AT_ONCE = 1 << 14

_LETTERS = np.frombuffer(b"ACDEFGHIKLMNPQRSTVWY", np.uint8)
_CODES = np.zeros(256, np.uint32)
_CODES[_LETTERS] = np.arange(1, 21)
_FACTORS = np.array(
    [hash64(f"minhash {position}") | 1 for position in range(HASHES)], np.uint64
).astype(np.uint32)
"""Odd, so that multiplying by one permutes the numbers of 32 bits."""


def _mix(value: UInt32[np.ndarray, "*n"]) -> UInt32[np.ndarray, "*n"]:
    """A bijection of 32 bits in which every bit moves the others (the finaliser of MurmurHash3)."""
    value = (value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    value = (value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return value ^ (value >> np.uint32(16))


def kmers(sequences: Sequence[str]) -> tuple[UInt32[np.ndarray, " n"], Int64[np.ndarray, " edges"]]:
    """The 4-mers of standard residues of all sequences, in their order, each as a number of 20
    bits; and where each sequence's begin in them, with the end of the last one's."""
    # A blank, which is no residue, stands between the sequences.
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
    """The sketch of each sequence. One without any 4-mer is similar to itself alone."""
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
    # The least of many hashes has few bits that vary: mixed, so that any 16 tell as much.
    return (_mix(least) >> np.uint32(16)).astype(np.uint16)


def band_keys(sketch: UInt16[np.ndarray, "n hashes"]) -> UInt32[np.ndarray, "n bands"]:
    """Both places of each pair as one number."""
    return sketch.view(np.uint32)


def similarity(
    first: UInt16[np.ndarray, "n hashes"], second: UInt16[np.ndarray, "n hashes"]
) -> Float[np.ndarray, " n"]:
    """The estimated similarity of sequences, pair by pair."""
    return (first == second).mean(axis=1)


def are_relatives(
    first: UInt16[np.ndarray, "a hashes"],
    second: UInt16[np.ndarray, "b hashes"],
    pairs: Int64[np.ndarray, "m 2"],
) -> Bool[np.ndarray, " m"]:
    """Which pairs (a row of the first array, one of the second) are relatives; a few MB of rows
    are read at a time."""
    chunks = np.split(pairs, range(_PAIRS_AT_ONCE, len(pairs), _PAIRS_AT_ONCE))
    return np.concatenate(
        [similarity(first[a], second[b]) >= SIMILARITY for a, b in (chunk.T for chunk in chunks)]
    )


def bucket_links(
    keys: UInt32[np.ndarray, " n"], sketch: UInt16[np.ndarray, "n hashes"]
) -> Int64[np.ndarray, "m 2"]:
    """Pairs of relatives among sequences that have the same key in one band, enough of them to join
    the relatives.

    In a bucket (the sequences of one key) each sequence is compared with the first one; those that
    are no relatives of it with the first of these, and so on `MAX_REPRESENTATIVES` times.

    Args:
      keys: of each sequence, in the band; the order of the sequences says which is first.
      sketch: of each sequence; rows are read as needed, so that it may be an array on disk.
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
    """Which of these ascending numbers have an equal beside them."""
    same = ordered[1:] == ordered[:-1]
    return (
        np.concatenate([[False], same])[: len(ordered)]
        | np.concatenate([same, [False]])[: len(ordered)]
    )
