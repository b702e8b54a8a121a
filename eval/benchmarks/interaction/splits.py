"""Splits an interaction graph into training and test pairs as GNN-PPI does: random, BFS, DFS.

In a random split almost every test interaction shares a protein with training, so it measures
little about new proteins. GNN-PPI (Lv et al. 2021, https://arxiv.org/abs/2105.06709) therefore
walks the graph from a root with at most five interactions and takes all interactions of each
protein it visits, until at least a fifth of all are taken:

- BFS visits proteins in the order in which they were first met: the test set is one dense
  neighbourhood.
- DFS moves from a visited protein to its first unvisited neighbour and backtracks when none is
  left: a thread through the graph.

So each test interaction of a walk has a protein that training does not know.

The released code (https://github.com/lvguofeng/GNN_PPI, `utils.py`) does the same, with three
differences. It draws from Python's `random` without a seed, so its splits exist only as files. It
never ends on a graph without a protein of at most five interactions; here the root is then chosen
among those with the fewest. It fails if the root's component is smaller than the test set; here the
walk continues from another root. As there, all interactions of the last protein are taken, so a BFS
or DFS test set can be larger than requested; and there is no validation split: GNN-PPI chooses its
epoch on the test set.
"""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

SPLITS = ("random", "bfs", "dfs")
TEST_FRACTION = 0.2
MOST_OF_A_ROOT = 5
"""The most interactions that a root may have."""


class InteractionSplit(NamedTuple):
    """Indices into `edges`, ascending; every edge is in one part."""

    train: Int[np.ndarray, " T"]
    test: Int[np.ndarray, " S"]


def split_edges(
    edges: Int[np.ndarray, "E 2"],
    *,
    nodes: int,
    method: str,
    seed: int,
    test_fraction: float = TEST_FRACTION,
) -> InteractionSplit:
    """Splits edges; the same edges, method and seed give the same split.

    Args:
      edges: pairs of protein numbers below `nodes`, every unordered pair once, no self-pairs. A
      walk visits a protein's neighbours in the order of its edges here.
      method: one of `SPLITS`. `random` rounds the training part down; the walks stop at or after
      the fraction.

    Raises:
      KeyError: unknown method.
    """
    rng = np.random.default_rng(seed)
    walk = {"random": None, "bfs": _breadth_first, "dfs": _depth_first}[method]
    test = np.zeros(len(edges), bool)
    if walk is None:
        test[rng.permutation(len(edges))[int(len(edges) * (1 - test_fraction)) :]] = True
    else:
        _take(walk(_Graph.of(edges, nodes), rng), test, wanted=int(len(edges) * test_fraction))
    return InteractionSplit(np.flatnonzero(~test), np.flatnonzero(test))


class _Graph(NamedTuple):
    """The edges of each protein, in the order of `edges`.

    Protein p has places starts[p] to starts[p + 1] of the others.
    """

    starts: Int[np.ndarray, " N1"]
    edges: Int[np.ndarray, " E2"]
    neighbours: Int[np.ndarray, " E2"]

    @classmethod
    def of(cls, edges: Int[np.ndarray, "E 2"], nodes: int) -> "_Graph":
        ends = edges.ravel()
        order = np.argsort(ends, kind="stable")
        starts = np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=nodes))])
        return cls(starts, order // 2, edges[:, ::-1].ravel()[order])

    def of_protein(self, protein: int) -> slice:
        return slice(self.starts[protein], self.starts[protein + 1])


def _take(walk: Iterator[np.ndarray], taken: Bool[np.ndarray, " E"], *, wanted: int) -> None:
    """Marks the edges of visited proteins until at least `wanted` edges are marked."""
    count = 0
    while count < wanted:
        edges = next(walk)
        count += np.count_nonzero(~taken[edges])
        taken[edges] = True


def _roots(graph: _Graph, met: Bool[np.ndarray, " N"], rng: np.random.Generator) -> Iterator[int]:
    """Yields unvisited proteins at random, those with few interactions first."""
    degrees = np.diff(graph.starts)
    while (candidates := np.flatnonzero(~met & (degrees > 0))).size:
        few = candidates[degrees[candidates] <= max(MOST_OF_A_ROOT, degrees[candidates].min())]
        yield int(rng.choice(few))


def _breadth_first(graph: _Graph, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The edges of each protein, in breadth-first order."""
    met = np.zeros(len(graph.starts) - 1, bool)
    for root in _roots(graph, met, rng):
        met[root] = True
        queue = deque([root])
        while queue:
            position = graph.of_protein(queue.popleft())
            yield graph.edges[position]
            new = graph.neighbours[position][~met[graph.neighbours[position]]]
            met[new] = True
            queue.extend(new.tolist())


def _depth_first(graph: _Graph, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The edges of each protein, in depth-first order."""
    visited = np.zeros(len(graph.starts) - 1, bool)
    for root in _roots(graph, visited, rng):
        visited[root] = True
        stack = [root]
        yield graph.edges[graph.of_protein(root)]
        while stack:
            neighbours = graph.neighbours[graph.of_protein(stack[-1])]
            unvisited = np.flatnonzero(~visited[neighbours])
            if unvisited.size:
                stack.append(int(neighbours[unvisited[0]]))
                visited[stack[-1]] = True
                yield graph.edges[graph.of_protein(stack[-1])]
            else:
                stack.pop()
