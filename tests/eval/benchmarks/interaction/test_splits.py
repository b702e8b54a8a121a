import csv
import gzip
import time

import numpy as np
import pytest

from eval.benchmarks.interaction.splits import SPLITS, TEST_FRACTION, split_edges
from tests.support.problems import seen


def random_graph(seed, *, proteins, edges):
    """Distinct unordered pairs, in random order."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(proteins, size=(2 * edges, 2)), axis=1), axis=0)
    return rng.permutation(pairs[pairs[:, 0] != pairs[:, 1]])[:edges]


def split(edges, method, seed=0, **options):
    return split_edges(edges, nodes=edges.max(initial=-1) + 1, method=method, seed=seed, **options)


def check_all(edges, parts):
    np.testing.assert_array_equal(np.sort(np.concatenate(parts)), np.arange(len(edges)))


def slow_walk(edges, root, wanted, *, breadth):
    """GNN-PPI's walks as its paper and code describe them, with lists: the edges taken."""
    of = {}
    for position, edge in enumerate(edges.tolist()):
        for protein in edge:
            of.setdefault(protein, []).append(position)
    taken, visited, waiting = [], [], [root]
    while len(taken) < wanted:
        current = waiting[0 if breadth else -1]
        neighbours = [sum(edges[position].tolist()) - current for position in of[current]]
        if breadth or current not in visited:
            visited.append(current)
            taken += [position for position in of[current] if position not in taken]
        if breadth:
            del waiting[0]
            waiting += [p for p in neighbours if p not in visited and p not in waiting]
        else:
            new = [p for p in neighbours if p not in visited]
            waiting = [*waiting, new[0]] if new else waiting[:-1]
    return sorted(taken)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("method", ["bfs", "dfs"])
def test_walks_are_gnn_ppis(seed, method):
    edges = random_graph(seed, proteins=14, edges=70)
    edges = edges[np.random.default_rng(seed).permutation(len(edges))]
    # The only protein with few interactions is one that hangs on another: the root.
    root = edges.max() + 1
    edges = np.insert(edges, 30, [0, root], axis=0)
    assert np.sort(np.bincount(edges.ravel()))[1] > 5
    for fraction in (0.2, 0.5, 0.9):
        result = split(edges, method, seed, test_fraction=fraction)
        wanted = int(len(edges) * fraction)
        assert result.test.tolist() == slow_walk(edges, root, wanted, breadth=method == "bfs")


@pytest.mark.parametrize("method", SPLITS)
def test_every_edge_is_in_one_split(method):
    edges = random_graph(0, proteins=200, edges=900)
    result = split(edges, method, 1)
    check_all(edges, result)
    most = np.bincount(edges.ravel()).max()
    assert (
        0
        <= len(result.test) - int(TEST_FRACTION * len(edges))
        <= (1 if method == "random" else most)
    )
    for part in result:
        assert (np.diff(part) > 0).all()


@pytest.mark.parametrize("method", SPLITS)
def test_a_split_depends_on_its_seed_alone(method):
    edges = random_graph(0, proteins=200, edges=900)
    first = split(edges, method, 1)
    for one, other in zip(first, split(edges, method, 1), strict=True):
        np.testing.assert_array_equal(one, other)
    assert len({split(edges, method, seed).test.tobytes() for seed in range(9)}) > 4


@pytest.mark.parametrize("method", ["bfs", "dfs"])
def test_roots_have_few_interactions(method):
    star = np.stack([np.zeros(20, int), np.arange(1, 21)], axis=1)
    chain = np.array([[30, 31], [31, 32]])
    edges = np.concatenate([star, chain])
    for seed in range(10):
        test = split(edges, method, seed, test_fraction=0.05).test
        # From a leaf or the chain one edge is enough; the hub would have brought all of its twenty.
        assert len(test) in (1, 2)


@pytest.mark.parametrize("method", ["bfs", "dfs"])
def test_a_graph_without_a_low_degree_protein_and_with_small_components_is_split(method):
    clique = np.stack(np.triu_indices(8, k=1), axis=1)
    edges = np.concatenate([clique + 8 * number for number in range(5)])
    result = split(edges, method, test_fraction=0.5)
    check_all(edges, result)
    # Whole cliques one after the other: at most one of them is cut.
    shares = np.bincount(edges[result.test, 0] // 8, minlength=5) / len(clique)
    assert np.sum((shares > 0) & (shares < 1)) <= 1
    assert len(split(edges, method, test_fraction=1.0).test) == len(edges)


@pytest.mark.parametrize("method", SPLITS)
def test_no_edges_are_no_split(method):
    nothing = np.zeros((0, 2), np.int32)
    result = split(nothing, method)
    assert [len(part) for part in result] == [0, 0]


def read_shs27k(real_data):
    """The unordered pairs of the actions file, in the order in which it first names them."""
    numbers, pairs = {}, {}
    with gzip.open(real_data / "ppi" / "protein.actions.SHS27k.STRING.txt.gz", "rt") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            pair = sorted(
                numbers.setdefault(row[name], len(numbers)) for name in ("item_id_a", "item_id_b")
            )
            pairs.setdefault(tuple(pair), None)
    return np.array(list(pairs)), len(numbers)


def test_walks_of_shs27k_test_on_proteins_less_seen(real_data):
    edges, proteins = read_shs27k(real_data)
    assert (len(edges), proteins) == (7624, 1690)
    shares = {}
    for method in SPLITS:
        results = [split(edges, method, seed) for seed in range(5)]
        counts = [seen(edges, train=result.train, test=result.test) for result in results]
        assert all(
            sum(count) == len(result.test) for count, result in zip(counts, results, strict=True)
        )
        assert all(1524 <= len(result.test) <= 1524 + 200 for result in results)
        shares[method] = np.mean([np.array(count) / sum(count) for count in counts], axis=0)
    both, one, none = zip(*(shares[method] for method in SPLITS), strict=True)
    # In a random split nearly every test protein was seen; a walk takes every interaction of one of
    # the two.
    assert both[0] > 0.8
    assert both[1:] == (0, 0)
    assert none[0] < 0.05 < min(none[1:])
    assert min(one[1:]) > one[0]


def test_a_graph_of_string_size_is_split_in_seconds():
    edges = random_graph(0, proteins=15_000, edges=600_000)
    for method in SPLITS:
        start = time.monotonic()
        result = split(edges, method)
        assert len(result.test) >= 119_999
        assert time.monotonic() - start < 20


def test_proteins_without_interactions_change_nothing():
    edges = random_graph(0, proteins=50, edges=200)
    for method in SPLITS:
        test = split_edges(edges, nodes=99, method=method, seed=2).test
        np.testing.assert_array_equal(test, split(edges, method, 2).test)
    with pytest.raises(KeyError):
        split(edges, "other")
