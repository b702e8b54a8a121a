"""Clusters of similar sequences by MinHash: which sequences relatives of relatives join."""

from collections.abc import Iterable

import numpy as np
from jaxtyping import Int64, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from data_pipelines.protanno.clusters import cluster_unit


def join(count: int, links: Iterable[Int64[np.ndarray, "_ 2"]]) -> Int64[np.ndarray, " n"]:
    """The cluster of each of `count` sequences under links given in parts: the place of the
    cluster's first sequence.

    Memory is that of `count` numbers and one part. Neither the order of the parts nor that of
    the links matters.
    """
    labels = np.arange(count)
    for part in links:
        ends = labels[part]
        ends = ends[ends[:, 0] != ends[:, 1]]
        if len(ends):
            graph = coo_array((np.ones(len(ends), bool), tuple(ends.T)), shape=(count, count))
            _, components = connected_components(graph, directed=False)
            # Labels name their first sequence, so the least label of a component is that of its
            # first.
            first = np.full(count, count)
            np.minimum.at(first, components, labels)
            labels = first[components][labels]
    return labels


def units(
    hashes: UInt64[np.ndarray, " n"], labels: Int64[np.ndarray, " n"]
) -> UInt64[np.ndarray, " n"]:
    """The unit of each sequence, named after its cluster's first in the order of the hashes."""
    firsts, positions = np.unique(labels, return_inverse=True)
    return np.array([cluster_unit(f"minhash {hashes[first]:016x}") for first in firsts], np.uint64)[
        positions
    ]
