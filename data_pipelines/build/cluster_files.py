"""Reads similarity cluster files of MMseqs2 or CD-HIT, in 16 bytes of memory per accession."""

import array
import functools
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, UInt64

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import cluster_unit
from data_pipelines.readers.hits import plain_accession
from data_pipelines.readers.streams.files import open_bytes

_CD_HIT_MEMBER = re.compile(r"\d+\t\d+aa, >(.+?)\.\.\. (?:\*|at .+)")


class ClusterUnits(NamedTuple):
    """Accession hashes (`hash64`), ascending, each with its cluster's unit; both uint64 [n].

    Two accessions with the same hash (one chance in 500 among 250 million) share the unit of the
    first one.
    """

    accessions: UInt64[np.ndarray, " n"]
    units: UInt64[np.ndarray, " n"]

    def find(
        self, accessions: UInt64[np.ndarray, " m"]
    ) -> tuple[UInt64[np.ndarray, " m"], Bool[np.ndarray, " m"]]:
        """Looks up the units of accessions, and which of the accessions are in a cluster."""
        if not len(self.accessions):
            return np.zeros_like(accessions), np.zeros(len(accessions), bool)
        positions = np.minimum(
            np.searchsorted(self.accessions, accessions), len(self.accessions) - 1
        )
        return self.units[positions], self.accessions[positions] == accessions


NO_CLUSTERS = ClusterUnits(np.zeros(0, np.uint64), np.zeros(0, np.uint64))


def read_clusters(path: str | Path) -> ClusterUnits:
    """Reads a cluster file, plain or gzip, in one of two formats.

    - TSV lines `cluster id, tab, accession` without a header, as written by `mmseqs createtsv` and
      `mmseqs easy-cluster`, where the cluster id is the representative;
    - CD-HIT's `.clstr`: a line `>Cluster 0`, then its members.

    Members in the style of UniProt's FASTA files (`sp|P12345|NAME`) are identified by accession. A
    member may be repeated within its cluster.

    Raises:
      UserError: a line has neither format, the file is empty, or an accession is in two clusters.
    """
    accessions, units = array.array("Q"), array.array("Q")
    for _, cluster, accession in _members(path):
        accessions.append(hash64(accession))
        units.append(cluster_unit(cluster))
    if not accessions:
        raise UserError(
            f"{path} lists no clusters; expected lines of `cluster id, tab, accession`, "
            "or CD-HIT's .clstr format."
        )
    return from_arrays(accessions, units, refuse=functools.partial(_refuse_two_clusters, path))


def from_arrays(
    accessions: Sequence[int], units: Sequence[int], *, refuse: Callable[[], None]
) -> ClusterUnits:
    """Builds clusters of accession hashes (not empty); calls `refuse` if one is in two clusters."""
    keys, values = np.array(accessions, np.uint64), np.array(units, np.uint64)
    order = np.argsort(keys, kind="stable")
    keys, values = keys[order], values[order]
    again = keys[1:] == keys[:-1]
    if (again & (values[1:] != values[:-1])).any():
        refuse()
    first = np.concatenate([[True], ~again])[: len(keys)]
    return ClusterUnits(keys[first], values[first])


def _refuse_two_clusters(path: str | Path) -> None:
    """Reads the file again to find an accession in two clusters; hash collisions are accepted."""
    clusters: dict[str, str] = {}
    for number, cluster, accession in _members(path):
        if clusters.setdefault(accession, cluster) != cluster:
            raise UserError(
                f"{path} line {number} puts {accession} into cluster {cluster}, but an earlier "
                f"line into {clusters[accession]}; keep one."
            )


def _members(path: str | Path) -> Iterator[tuple[int, str, str]]:
    """Yields the line number, cluster id and accession of each member."""
    with open_bytes(path) as content:
        cluster, cd_hit = "", False
        for number, line in enumerate(content, 1):
            text = line.decode(errors="replace").rstrip("\r\n")
            cd_hit = cd_hit or (number == 1 and text.startswith(">Cluster "))
            if cd_hit and text.startswith(">"):
                cluster = text.removeprefix(">")
                continue
            if cd_hit:
                member = _CD_HIT_MEMBER.fullmatch(text)
                columns = [cluster, member[1]] if member else []
            else:
                columns = text.split("\t")
            if len(columns) != 2 or not all(columns):
                raise UserError(
                    f"{path} line {number} is {text[:60]!r}; "
                    "expected `cluster id, tab, accession` or CD-HIT's .clstr format."
                )
            yield number, columns[0], plain_accession(columns[1])
