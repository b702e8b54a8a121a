"""Counts of a build, for `statistics.json`."""

import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np

from data_pipelines.build.group import Group
from data_pipelines.protanno.clusters import CLUSTERS, SPLITS, TEST, VALIDATION
from data_pipelines.readers import Reject

RESIDUE_EDGES = (*range(0, 1500, 50), 1500, 2000, 3000, 5000, 10_000, 20_000, 50_000, 1 << 24)
WORD_EDGES = (*range(0, 100, 10), *range(100, 500, 50), 500, 1000, 2000, 5000, 10_000, 1 << 24)
"""Edges of the histogram bins: edge ≤ length < next edge. Readers reject longer entries.
"""

TOP_REASONS = 20
_MAX_REASONS = 10_000
"""Maximum number of distinct reasons to count; further ones are counted together."""

_PARTICULARS = re.compile(r"b?'[^']*'|b?\"[^\"]*\"|\d+")


def kind_of_reason(reason: str) -> str:
    """Generalizes a reject's reason: numbers and quotations become `…`."""
    return _PARTICULARS.sub("…", reason)


@dataclasses.dataclass
class InputCounts:
    """Counts of the entries read: records, rejects by file and kind of reason, omitted features.

    `doubted` counts records that do not look like proteins, by what they look like.
    """

    records: int = 0
    rejected_by_file: Counter = dataclasses.field(default_factory=Counter)
    reasons: Counter = dataclasses.field(default_factory=Counter)
    omitted: Counter = dataclasses.field(default_factory=Counter)
    doubted: Counter = dataclasses.field(default_factory=Counter)

    @property
    def rejected(self) -> int:
        """The rejects of all files."""
        return self.rejected_by_file.total()

    @property
    def entries(self) -> int:
        """The number of records and rejects."""
        return self.records + self.rejected

    def reject(self, reject: Reject) -> None:
        """Counts one reject."""
        self.rejected_by_file[reject.file] += 1
        kind = kind_of_reason(reject.reason)
        is_counted = kind in self.reasons or len(self.reasons) < _MAX_REASONS
        self.reasons[kind if is_counted else "other"] += 1

    def statistics(self) -> dict:
        """The input part of `statistics.json`."""
        return {
            "rejected_by_file": dict(sorted(self.rejected_by_file.items())),
            "top_rejects": dict(
                sorted(self.reasons.items(), key=lambda item: (-item[1], item[0]))[:TOP_REASONS]
            ),
            "omitted_features": dict(sorted(self.omitted.items())),
            "doubtful_records": dict(sorted(self.doubted.items())),
        }


def _bins(values: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    return np.histogram(values, edges)[0]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Grouped:
    """Counts of grouped records; they can be added up over ranges."""

    clusters: np.ndarray
    """int64 [CLUSTERS]: records by (source, C, R)."""
    residues: np.ndarray
    words: np.ndarray
    """Histograms over `RESIDUE_EDGES` and `WORD_EDGES`."""
    total_residues: int
    total_words: int
    unclustered: int
    """Records missing from the file of similarity clusters."""
    answering: int
    """Records listed in the file of questions."""
    merged: Counter
    """Merged entries by (own source, source of the kept record)."""
    excluded: int
    excluded_by_file: Counter

    @classmethod
    def count(cls, group: Group) -> Self:
        """Counts one range."""
        files = itertools.chain.from_iterable(names for _, names in group.excluded)
        return cls(
            clusters=np.bincount(group.clusters, minlength=len(CLUSTERS)),
            residues=_bins(group.residues, RESIDUE_EDGES),
            words=_bins(group.words, WORD_EDGES),
            total_residues=int(group.residues.sum()),
            total_words=int(group.words.sum()),
            unclustered=group.unclustered,
            answering=group.answering,
            merged=Counter((merge.source, merge.kept_source) for merge in group.merges),
            excluded=len(group.excluded),
            excluded_by_file=Counter(files),
        )

    def __add__(self, other: Self) -> Self:
        fields = dataclasses.fields(self)
        return type(self)(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields}
        )

    @property
    def records(self) -> int:
        """The number of records in the dataset, including held-out ones."""
        return int(self.clusters.sum())

    def statistics(self) -> dict:
        """The record part of `statistics.json`."""
        sizes = zip(CLUSTERS, self.clusters, strict=True)
        clusters = {name: int(size) for name, size in sizes if size}
        merged = sorted(self.merged.items())
        by_source = {f"{source} into {kept}": n for (source, kept), n in merged}
        return {
            "records": self.records,
            "deduplicated": self.merged.total(),
            "excluded": self.excluded,
            "clusters": clusters,
            "deduplicated_by_source": by_source,
            "excluded_by_file": dict(sorted(self.excluded_by_file.items())),
            "lengths": {
                "edges": list(RESIDUE_EDGES),
                "counts": self.residues.tolist(),
                "total": self.total_residues,
            },
            "biotext_words": {
                "edges": list(WORD_EDGES),
                "counts": self.words.tolist(),
                "total": self.total_words,
            },
        }


def split_sizes(sizes: np.ndarray) -> dict[str, int]:
    """Maps splits to record counts, given int [SPLITS]; validation and test are always listed."""
    return {
        name: int(n)
        for name, n in zip(SPLITS, sizes, strict=True)
        if n or name in (VALIDATION, TEST)
    }


def cluster_sizes(units: np.ndarray) -> dict:
    """Summarizes the sizes of units: number, maximum, and a histogram with doubling bins."""
    sizes = np.unique(units, return_counts=True)[1]
    edges = [1 << power for power in range(int(sizes.max(initial=1)).bit_length() + 1)]
    return {
        "clusters": len(sizes),
        "largest": int(sizes.max(initial=0)),
        "sizes": {"edges": edges, "counts": _bins(sizes, edges).tolist()},
    }
