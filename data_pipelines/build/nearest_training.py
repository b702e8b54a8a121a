"""Identity and coverage of the training record nearest to each held-out one, from search hits."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt8, UInt64

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno import nearest
from data_pipelines.protanno.clusters import CLUSTERS, SPLITS, TEST
from data_pipelines.protanno.nearest import Nearest, read_nearest
from data_pipelines.readers.hits import FIX, Hit, read_hits
from data_pipelines.readers.streams.files import open_bytes

WITH_TEXT, WITHOUT_TEXT = 0, 1
"""Row indices of results: training records with text, and without text."""

_ROWS_AT_ONCE = 1 << 16
_BARE = np.array([cluster.endswith("/R0") for cluster in CLUSTERS])


def without_text(clusters: UInt8[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which records have no text, given indices into `CLUSTERS`."""
    return _BARE[clusters]


class Found(NamedTuple):
    """Results for each held-out record, in dataset order, and statistics of the file."""

    identity: Float[np.ndarray, "2 h"]
    coverage: Float[np.ndarray, "2 h"]
    statistics: dict


class Layout(NamedTuple):
    """The records of a build, in ascending order of the accession hash.

    Attributes:
      accessions: `hash64` of each accession.
      place: index among the held-out records; -1 for a training record.
      bare: whether the record has no text.
    """

    accessions: UInt64[np.ndarray, " n"]
    place: Int64[np.ndarray, " n"]
    bare: Bool[np.ndarray, " n"]

    @classmethod
    def of(
        cls,
        accessions: UInt64[np.ndarray, " n"],
        codes: UInt8[np.ndarray, " n"],
        clusters: UInt8[np.ndarray, " n"],
    ) -> Self:
        """Builds the layout from records in dataset order.

        Args:
          accessions: hashes of their accessions.
          codes: indices into `SPLITS`.
          clusters: indices into `CLUSTERS`.
        """
        held_out = codes >= SPLITS.index(TEST)
        place = np.where(held_out, np.cumsum(held_out) - 1, -1)
        order = np.argsort(accessions, kind="stable")
        return cls(accessions[order], place[order], without_text(clusters)[order])

    @property
    def held_out(self) -> int:
        """The number of held-out records."""
        return int(np.count_nonzero(self.place >= 0))

    def find(self, names: list[str]) -> tuple[Int64[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
        """Looks up accessions: their indices, and whether they exist."""
        hashes = np.array([hash64(name) for name in names], np.uint64)
        at = np.minimum(np.searchsorted(self.accessions, hashes), len(self.accessions) - 1)
        return at, self.accessions[at] == hashes


def nearest_in(path: Path, layout: Layout) -> Found:
    """Finds the nearest training records from a file of hits, in one pass.

    The nearest one has the hit that covers the most identical residues, that is, the largest
    `fident · qcov`. Without a hit, identity and coverage are 0.

    Raises:
      UserError: the file has another format, or no hit of a held-out against a training record.
    """
    best = np.zeros((2, layout.held_out))
    identity, coverage = np.zeros_like(best), np.zeros_like(best)
    named = np.zeros(layout.held_out, bool)
    rows = used = 0
    hits = read_hits(path)
    while part := list(itertools.islice(hits, _ROWS_AT_ONCE)):
        rows += len(part)
        if any(hit.coverage is None for hit in part):
            raise UserError(f"{path} has no column qcov; {FIX}.")
        for kind, place, own in _useful(part, layout):
            used += len(place)
            named[place] = True
            _keep_best(best[kind], identity[kind], coverage[kind], place, own)
    if not used:
        raise UserError(
            f"{path}: none of its {rows} hits is of a held-out against a training record of this "
            "build; search the held-out proteins of the same build (`python -m "
            "data_pipelines.fasta`) against its training proteins."
        )
    statistics = {
        "hits": rows,
        "of_held_out_to_training": used,
        "held_out_without_hit": int((~named).sum()),
    }
    return Found(identity, coverage, statistics)


def _useful(part: list[Hit], layout: Layout) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields per kind of training record: the query indices, and identity and coverage [2, m]."""
    query, query_known = layout.find([hit.query for hit in part])
    target, target_known = layout.find([hit.target for hit in part])
    held_out = query_known & (layout.place[query] >= 0)
    training = target_known & (layout.place[target] < 0)
    measured = np.array([(hit.identity, hit.coverage) for hit in part]).T
    for kind in (WITH_TEXT, WITHOUT_TEXT):
        kept = held_out & training & (layout.bare[target] == bool(kind))
        yield kind, layout.place[query[kept]], measured[:, kept]


def _keep_best(
    best: Float[np.ndarray, " h"],
    identity: Float[np.ndarray, " h"],
    coverage: Float[np.ndarray, " h"],
    place: Int64[np.ndarray, " m"],
    own: Float[np.ndarray, "2 m"],
) -> None:
    """Updates the results of the queries that have better hits."""
    value = own[0] * own[1]
    # The best hit of a query comes last, so it stays.
    order = np.argsort(value, kind="stable")
    order = order[value[order] > best[place[order]]]
    best[place[order]] = value[order]
    identity[place[order]], coverage[place[order]] = own[:, order]


def read_identities(path: Path, layout: Layout) -> Found:
    """Reads search hits as in `nearest_in`, or identities from a dataset's `nearest.tsv.gz`.

    The latter keeps the identity bands of a full training set in datasets with fewer training
    records.

    Raises:
      UserError: the file has neither format, or covers none of the held-out records.
    """
    if not _is_table_of_nearest(path):
        return nearest_in(path, layout)
    kept = read_nearest(path)
    identity = np.full((2, layout.held_out), np.nan)
    coverage = np.full_like(identity, np.nan)
    at, known = layout.find(list(kept))
    place = layout.place[at]
    for found, where, is_known in zip(kept.values(), place.tolist(), known.tolist(), strict=True):
        if is_known and where >= 0 and found.identity is not None:
            identity[:, where] = found.identity, found.identity_without_text
            coverage[:, where] = found.coverage, found.coverage_without_text
    if np.isnan(identity).all():
        raise UserError(
            f"{path} has no identities for any of the {layout.held_out} held-out records; use the "
            "file of a dataset with the same records."
        )
    return Found(identity, coverage, {"held_out_not_in_file": int(np.isnan(identity[0]).sum())})


def _is_table_of_nearest(path: Path) -> bool:
    with open_bytes(path) as content:
        return content.read(64).startswith(b"accession\tidentity\t")


def rows(
    accessions: Iterator[str],
    found: Found | None,
    related: Float[np.ndarray, "2 h"],
) -> Iterator[tuple[str, Nearest]]:
    """Yields the rows of `nearest.tsv.gz`, from the held-out accessions in dataset order.

    Args:
      found: None without a file of identities.
      related: 1 or 0 if MinHash checked the record, else NaN.
    """
    for place, accession in enumerate(accessions):
        measured = [None] * 4
        if found is not None:
            pairs = found.identity[:, place], found.coverage[:, place]
            measured = np.stack(pairs, axis=1).ravel()
        flags = map(_flag, related[:, place])
        yield accession, Nearest(*map(_known, measured), *flags)


def _flag(value: float) -> bool | None:
    return None if np.isnan(value) else bool(value)


def _known(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else float(value)


def write(
    directory: Path,
    accessions: Iterator[str],
    found: Found | None,
    related: Float[np.ndarray, "2 h"],
) -> None:
    """Writes `nearest.tsv.gz` into a dataset folder."""
    nearest.write_nearest(directory / nearest.FILE, rows(accessions, found, related))
