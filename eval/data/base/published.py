"""Published numbers and sizes of published data sets, as families state them, each with its source.

Only what could be read in the source named is stated. What is not stated is unknown, not zero:
ProtCLIP's accuracies, correlations and F1 are in its paper's tables and were not at hand, and
reports say so.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

FINE_TUNING = "fine-tuning"
FROZEN = "frozen embeddings, nothing trained"
MASKED_LANGUAGE_MODEL = "masked language model, nothing trained"
BRIDGE = "bridge on frozen embeddings"
GRAPH_NETWORK = "graph network on frozen embeddings"
"""Protocols in the words of reports; a protocol of heads has its own name."""


class Published(NamedTuple):
    """A number that somebody reported."""

    benchmark: str
    model: str
    metric: str
    """As our results name it: `aupr`, `fmax`, `mrr, reverse kept`; of semantic similarity
    `<set>_<measure>`, a correlation."""
    value: float
    source: str
    protocol: str
    """By which the number was measured, in the words of our reports: numbers by another protocol
    are not comparable."""


class DataSize(NamedTuple):
    """What a published data set counts: rows by split; of a graph proteins and pairs; of
    semantic similarity pairs by set."""

    benchmark: str
    counts: Mapping[str, int]
    source: str


def published_row(
    benchmarks: str,
    model: str,
    metric: str,
    values: str,
    source: str,
    protocol: str,
) -> tuple[Published, ...]:
    """The numbers of a table's row; benchmarks and values are separated by blanks."""
    pairs = zip(benchmarks.split(), values.split(), strict=True)
    return tuple(
        Published(name, model, metric, float(value), source, protocol) for name, value in pairs
    )


def data_size(benchmark: str, source: str, **counts: int) -> DataSize:
    """The size of a published data set."""
    return DataSize(benchmark, MappingProxyType(counts), source)
