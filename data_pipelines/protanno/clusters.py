"""Assigns records to splits: held-out splits take whole sequence clusters, chosen by a fixed hash.

Only `random_test` takes single records of the remainder, whatever their cluster. Most of these have
relatives in training, as a protein that a user asks about has.

A unit goes to a split as a whole: it is a cluster, or a sequence in no cluster. Units are 64-bit
hashes, so no other data can change a unit's split.
"""

import itertools

import numpy as np
from jaxtyping import UInt8, UInt64

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import EXISTENCE, PROPERTIES, SOURCES

VALIDATION, TEST, RANDOM_TEST = "validation", "test", "random_test"
HELD_OUT = (VALIDATION, TEST, RANDOM_TEST)

_LEVELS = itertools.product(SOURCES, EXISTENCE, range(len(PROPERTIES) + 1))
CLUSTERS = tuple(f"{source}/C{existence}/R{coverage}" for source, existence, coverage in _LEVELS)
"""Every possible (source, C, R) cluster, sorted; the index in this tuple is the cluster's code."""


def split_name(cluster: str) -> str:
    """Names a (source, C, R) cluster's training split: `swissprot/C1/R4` → `swissprot_c1_r4`."""
    return cluster.replace("/", "_").lower()


SPLITS = (*map(split_name, CLUSTERS), TEST, RANDOM_TEST, VALIDATION)
"""Every possible split: training splits in the order of `CLUSTERS`, then the held-out ones."""


def sequence_unit(sequence: str) -> int:
    """The unit of a sequence that belongs to no cluster."""
    return hash64(f"sequence {sequence}")


def cluster_unit(cluster: str) -> int:
    """The unit of a cluster, from its id."""
    return hash64(f"cluster {cluster}")


def split_codes(
    units: UInt64[np.ndarray, " n"],
    clusters: UInt8[np.ndarray, " n"],
    hashes: UInt64[np.ndarray, " n"],
    *,
    validation_fraction: float,
    test_fraction: float,
    random_test_fraction: float = 0.0,
) -> UInt8[np.ndarray, " n"]:
    """Assigns records, given as units, indices into `CLUSTERS` and sequence hashes, to splits.

    The result has indices into `SPLITS`. A unit is held out if its hash, as a number in [0, 1), is
    below the fractions, so a record's split depends on its unit alone. Of the remaining records,
    those whose own hash is below `random_test_fraction` go to the random test split.
    """
    position = units / 2.0**64
    codes = clusters.copy()
    codes[hashes / 2.0**64 < random_test_fraction] = SPLITS.index(RANDOM_TEST)
    codes[position < validation_fraction + test_fraction] = SPLITS.index(TEST)
    codes[position < validation_fraction] = SPLITS.index(VALIDATION)
    return codes
