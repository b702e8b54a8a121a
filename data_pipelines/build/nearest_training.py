"""Identity and coverage of the training record nearest to each held-out one, from a file of
hits."""

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
"""Rows of what is found: among training records with text, and among those without."""

_ROWS_AT_ONCE = 1 << 16
_BARE = np.array([cluster.endswith("/R0") for cluster in CLUSTERS])


def without_text(clusters: UInt8[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    """Which records of these places in `CLUSTERS` have no text."""
    return _BARE[clusters]


class Found(NamedTuple):
    """Of each held-out record, in the order of the dataset's records, and what a report says of
    the file."""

    identity: Float[np.ndarray, "2 h"]
    coverage: Float[np.ndarray, "2 h"]
    statistics: dict


class Layout(NamedTuple):
    """The records of a build, ascending by their accession's hash.

    Attributes:
      accessions: `hash64` of each accession.
      place: among the held-out records; -1 for a training record.
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
        """From the records in the dataset's order: their accessions' hashes, places in `SPLITS`
        and in `CLUSTERS`."""
        held_out = codes >= SPLITS.index(TEST)
        place = np.where(held_out, np.cumsum(held_out) - 1, -1)
        order = np.argsort(accessions, kind="stable")
        return cls(accessions[order], place[order], without_text(clusters)[order])

    @property
    def held_out(self) -> int:
        """How many records are held out."""
        return int(np.count_nonzero(self.place >= 0))

    def find(self, names: list[str]) -> tuple[Int64[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
        """Where these accessions are, and whether they are there."""
        asked = np.array([hash64(name) for name in names], np.uint64)
        at = np.minimum(np.searchsorted(self.accessions, asked), len(self.accessions) - 1)
        return at, self.accessions[at] == asked


def nearest_in(path: Path, layout: Layout) -> Found:
    """The nearest training records by a file of hits, in one pass: the hit that covers the most
    identical residues.

    That is the hit of the greatest `fident · qcov`. Of a query without a hit both are 0.

    Raises:
      UserError: the file is not of its form, or names no held-out record beside a training
        record.
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
            f"{path}: none of its {rows} hits is of a held-out record to a training record "
            "of this build; search the "
            "held-out proteins of the same build (`python -m data_pipelines.fasta`) against "
            "its training proteins."
        )
    told = {
        "hits": rows,
        "of_held_out_to_training": used,
        "held_out_without_hit": int((~named).sum()),
    }
    return Found(identity, coverage, told)


def _useful(part: list[Hit], layout: Layout) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of each kind of training record: the places of the queries hit, and identity and coverage
    of the hits [2, m]."""
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
    """Replaces what is known of the places by the better hits."""
    value = own[0] * own[1]
    # Of hits of one place the best comes last and stays.
    order = np.argsort(value, kind="stable")
    order = order[value[order] > best[place[order]]]
    best[place[order]] = value[order]
    identity[place[order]], coverage[place[order]] = own[:, order]


def read_identities(path: Path, layout: Layout) -> Found:
    """As `nearest_in`; from a dataset's `nearest.tsv.gz`, which keeps what it was near to there.

    So the bands of a full training set stay those of datasets with fewer training records.

    Raises:
      UserError: the file is of neither form, or names none of the held-out records.
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
            f"{path} has an identity of none of the {layout.held_out} held-out records."
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
    """The rows of `nearest.tsv.gz`, from the held-out accessions in the dataset's order.

    Args:
      found: None without a file of identities.
      related: 1 or 0 where MinHash looked a record up, else NaN.
    """
    for place, accession in enumerate(accessions):
        measured = [None] * 4
        if found is not None:
            pairs = [
                (found.identity[kind, place], found.coverage[kind, place])
                for kind in (WITH_TEXT, WITHOUT_TEXT)
            ]
            measured = [_known(value) for pair in pairs for value in pair]
        flags = [_known(value) for value in related[:, place]]
        yield (
            accession,
            Nearest(*measured, *(flag if flag is None else bool(flag) for flag in flags)),
        )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def write(
    directory: Path,
    accessions: Iterator[str],
    found: Found | None,
    related: Float[np.ndarray, "2 h"],
) -> None:
    """Writes `nearest.tsv.gz` into a dataset's folder."""
    nearest.write_nearest(directory / nearest.FILE, rows(accessions, found, related))
