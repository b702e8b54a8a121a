"""Single-linkage clusters of similar sequences, from the links that MinHash finds."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_pipelines.protanno.clusters import cluster_unit


def join(count: int, links: Iterable[Int64[np.ndarray, "_ 2"]]) -> Int64[np.ndarray, " n"]:
    """Joins linked sequences; returns the index of the first sequence in each one's cluster.

    `links` is given in parts, in any order. Memory use is that of `count` numbers and one part.
    """
    labels = np.arange(count)
    for part in links:
        ends = labels[part]
        ends = ends[ends[:, 0] != ends[:, 1]]
        if len(ends):
            graph = coo_array((np.ones(len(ends), bool), tuple(ends.T)), shape=(count, count))
            _, components = connected_components(graph, directed=False)
            # A label is the index of a cluster's first sequence, so the smallest label of a
            # component is the index of its first sequence.
            first = np.full(count, count)
            np.minimum.at(first, components, labels)
            labels = first[components][labels]
    return labels


def units(
    hashes: UInt64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    """The unit of each sequence, named after the first one of its cluster in hash order."""
    firsts, positions = np.unique(labels, return_inverse=True)
    names = [f"minhash {hashes[first]:016x}" for first in firsts]
    return np.array(list(map(cluster_unit, names)), np.uint64)[positions]
