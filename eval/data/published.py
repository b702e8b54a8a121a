"""Published numbers beside ours, and whether the data at hand are the published ones."""

from collections.abc import Mapping
from typing import NamedTuple

from eval.benchmarks.families import FAMILIES
from eval.data.base.published import DataSize, Published

PUBLISHED: tuple[Published, ...] = tuple(row for family in FAMILIES for row in family.published)
SIZES: tuple[DataSize, ...] = tuple(size for family in FAMILIES for size in family.sizes)


class Completeness(NamedTuple):
    """Whether the data at hand are the published ones."""

    whole: bool | None
    """None if the published size is unknown."""
    sentence: str


def published(benchmark: str) -> list[Published]:
    """What is known about a benchmark, in the order of `PUBLISHED`."""
    return [row for row in PUBLISHED if row.benchmark == benchmark]


def completeness(benchmark: str, counts: Mapping[str, int]) -> Completeness:
    """Compares counts with the published data sets; returns the verdict and a sentence for reports.

    Args:
      counts: as in `DataSize`; a missing name counts 0.
    """
    sizes = [size for size in SIZES if size.benchmark == benchmark]
    if not sizes:
        return Completeness(
            None, "The size of the published data set is not known, so these may be other data."
        )
    for size in sizes:
        if all(counts.get(name) == count for name, count in size.counts.items()):
            return Completeness(True, f"The data have the published size ({size.source}).")
    nearest = min(
        sizes,
        key=lambda size: sum(
            abs(counts.get(name, 0) - count) for name, count in size.counts.items()
        ),
    )
    parts = (
        f"{name} {counts.get(name, 0):,} instead of {count:,}"
        for name, count in nearest.counts.items()
    )
    return Completeness(
        False, f"Not the published data set ({nearest.source}): {', '.join(parts)}."
    )
