"""Published numbers and sizes of published data sets, each with its source.

Families state only what could be read in the source named; a missing number is unknown, not zero.
ProtCLIP's accuracies, correlations and F1 scores are in its paper's tables, which were not
available; reports say so.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

FINE_TUNING = "fine-tuning"
FROZEN = "frozen embeddings, nothing trained"
MASKED_LANGUAGE_MODEL = "masked language model, nothing trained"
BRIDGE = "bridge on frozen embeddings"
GRAPH_NETWORK = "graph network on frozen embeddings"
"""Protocols as reports name them; a protocol of heads has its own name."""


class Published(NamedTuple):
    """A published number."""

    benchmark: str
    model: str
    metric: str
    """The metric as our results name it: `aupr`, `fmax`, `mrr, reverse kept`.

    For semantic similarity `<set>_<measure>`, a correlation.
    """
    value: float
    source: str
    protocol: str
    """How the number was measured, in our reports' words; protocols are not comparable."""


class DataSize(NamedTuple):
    """The counts of a published data set.

    Rows by split; proteins and pairs of a graph; pairs by set for semantic similarity.
    """

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
    """Parses the numbers of a table row; benchmarks and values are separated by blanks."""
    pairs = zip(benchmarks.split(), values.split(), strict=True)
    return tuple(
        Published(name, model, metric, float(value), source, protocol) for name, value in pairs
    )


def data_size(benchmark: str, source: str, **counts: int) -> DataSize:
    """The size of a published data set."""
    return DataSize(benchmark, MappingProxyType(counts), source)
