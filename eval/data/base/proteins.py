"""The proteins of a benchmark: distinct sequences and their names in the data."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping

from eval.data.base.task import Data, InteractionGraph, SimilarityTable, Task

Proteins = Mapping[str, frozenset[str]]
"""Sequence → its names in the data."""


def proteins_of(parts: Iterable[Data]) -> Proteins:
    """Collects the proteins of tasks, interactions and similarity tables, each sequence once.

    The order is that of the data. Other data have texts or variants beside their proteins, and no
    such list.
    """
    found = defaultdict(set)
    for part in parts:
        for name, sequence in _named(part):
            found[sequence].add(name)
    return {sequence: frozenset(names) for sequence, names in found.items()}


def _named(part: Data) -> Iterator[tuple[str, str]]:
    if isinstance(part, Task):
        for samples in part.splits.values():
            yield from ((sample.name, sample.sequence) for sample in samples)
    elif isinstance(part, InteractionGraph | SimilarityTable):
        yield from zip(part.names, part.sequences, strict=True)
