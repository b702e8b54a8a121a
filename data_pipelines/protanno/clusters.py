"""Which split a record belongs to: held-out splits take whole sequence clusters, chosen by a hash that no other data change.

A unit is what goes to a split as a whole: a cluster, or a sequence that is in none. It is known by 64 bits.
"""

import numpy as np
from jaxtyping import UInt8, UInt64

from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.record import EXISTENCE, PROPERTIES, SOURCES

VALIDATION, TEST = "validation", "test"

CLUSTERS = tuple(
    f"{source}/C{existence}/R{coverage}"
    for source in SOURCES
    for existence in EXISTENCE
    for coverage in range(1, len(PROPERTIES) + 1)
)
"""Every (source, C, R) cluster there can be, sorted; their places here are their codes."""


def split_name(cluster: str) -> str:
    """The training split of a (source, C, R) cluster: `swissprot/C1/R4` → `swissprot_c1_r4`."""
    return cluster.replace("/", "_").lower()


SPLITS = (*map(split_name, CLUSTERS), TEST, VALIDATION)
"""Every split there can be; a training split's place is its cluster's, and the held-out ones come after them."""


def sequence_unit(sequence: str) -> int:
    """The unit of a sequence that is in no cluster."""
    return hash64(f"sequence {sequence}")


def cluster_unit(cluster: str) -> int:
    """The unit of a cluster by its id."""
    return hash64(f"cluster {cluster}")


def split_codes(
    units: UInt64[np.ndarray, " n"],
    clusters: UInt8[np.ndarray, " n"],
    *,
    validation_fraction: float,
    test_fraction: float,
) -> UInt8[np.ndarray, " n"]:
    """The place in `SPLITS` of records with these units and these places in `CLUSTERS`.

    A unit's hash, as a number in [0, 1), is held out below the fractions, so a record's split depends on its unit alone.
    """
    position = units / 2.0**64
    codes = clusters.copy()
    codes[position < validation_fraction + test_fraction] = SPLITS.index(TEST)
    codes[position < validation_fraction] = SPLITS.index(VALIDATION)
    return codes
