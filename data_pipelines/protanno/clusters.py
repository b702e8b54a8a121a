"""Which split a record belongs to: held-out splits take whole sequence clusters, chosen by a hash
that no other data change.

`random_test` alone takes single records of what is left, whatever their cluster: most have
relatives in training, as a protein that somebody asks about has.

A unit is what goes to a split as a whole: a cluster, or a sequence that is in none. It is known
by 64 bits.
"""

import numpy as np
from jaxtyping import UInt8, UInt64

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import EXISTENCE, PROPERTIES, SOURCES

VALIDATION, TEST, RANDOM_TEST = "validation", "test", "random_test"
HELD_OUT = (VALIDATION, TEST, RANDOM_TEST)

CLUSTERS = tuple(
    f"{source}/C{existence}/R{coverage}"
    for source in SOURCES
    for existence in EXISTENCE
    for coverage in range(len(PROPERTIES) + 1)
)
"""Every (source, C, R) cluster there can be, sorted; their places here are their codes."""


def split_name(cluster: str) -> str:
    """The training split of a (source, C, R) cluster: `swissprot/C1/R4` → `swissprot_c1_r4`."""
    return cluster.replace("/", "_").lower()


SPLITS = (*map(split_name, CLUSTERS), TEST, RANDOM_TEST, VALIDATION)
"""Every split there can be; a training split's place is its cluster's, and the held-out ones
come after them."""


def sequence_unit(sequence: str) -> int:
    """The unit of a sequence that is in no cluster."""
    return hash64(f"sequence {sequence}")


def cluster_unit(cluster: str) -> int:
    """The unit of a cluster by its id."""
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
    """The place in `SPLITS` of records with these units, places in `CLUSTERS` and hashes of their
    sequences.

    A unit's hash, as a number in [0, 1), is held out below the fractions, so that a record's split
    depends on its unit alone; of the records that are left, those are held out at random whose
    own hash is below that fraction.
    """
    position = units / 2.0**64
    codes = clusters.copy()
    codes[hashes / 2.0**64 < random_test_fraction] = SPLITS.index(RANDOM_TEST)
    codes[position < validation_fraction + test_fraction] = SPLITS.index(TEST)
    codes[position < validation_fraction] = SPLITS.index(VALIDATION)
    return codes
