import numpy as np
import pytest

from data_pipelines.build.similarity_clusters import join, units
from data_pipelines.protanno.clusters import cluster_unit


@pytest.mark.parametrize("parts", [1, 3, 20])
def test_clusters_are_the_connected_components(parts):
    rng = np.random.default_rng(parts)
    links = rng.integers(0, 100, (60, 2))
    expected = list(range(100))
    for _ in range(100):
        for one, other in links.tolist():
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert join(100, np.array_split(links, parts)).tolist() == expected
    assert join(100, np.array_split(links[::-1, ::-1], parts)).tolist() == expected


def test_nothing_to_join():
    assert join(3, []).tolist() == join(3, [np.zeros((0, 2), int)]).tolist() == [0, 1, 2]
    assert join(0, []).tolist() == []


def test_a_cluster_is_named_after_its_first_sequence():
    hashes = np.array([5, 17, 2**64 - 1], np.uint64)
    named = units(hashes, np.array([0, 1, 0])).tolist()
    assert named == [cluster_unit(f"minhash {hash_:016x}") for hash_ in (5, 17, 5)]
