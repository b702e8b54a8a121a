"""Which split a record belongs to: held-out splits take whole sequence clusters, chosen by a hash that no other data change."""

from collections.abc import Mapping
from pathlib import Path

from data_pipelines.errors import UserError
from data_pipelines.hashing import hash64
from data_pipelines.readers.files import open_bytes
from data_pipelines.record import Record, cluster_name

VALIDATION, TEST = "validation", "test"


def read_clusters(path: str | Path) -> dict[str, str]:
    """Accession → cluster id, from a TSV (plain or gzip) of lines `cluster id, tab, accession` without header.

    This is what `mmseqs createtsv` and `mmseqs easy-cluster` write, with the representative as cluster id. An accession may
    be listed again in the same cluster.

    Raises:
      UserError: a line has other than two columns, or an accession is in two clusters.
    """
    clusters: dict[str, str] = {}
    with open_bytes(path) as content:
        for number, line in enumerate(content, 1):
            columns = line.decode(errors="replace").rstrip("\r\n").split("\t")
            if len(columns) != 2 or not all(columns):
                raise UserError(f"{path} line {number} is not `cluster id, tab, accession`: {line[:60]!r}")
            cluster, accession = columns
            if clusters.setdefault(accession, cluster) != cluster:
                raise UserError(
                    f"{path} line {number} puts {accession} into cluster {cluster} as well as {clusters[accession]}: keep one"
                )
    return clusters


def split_name(cluster: str) -> str:
    """The training split of a (source, C, R) cluster: `swissprot/C1/R4` → `swissprot_c1_r4`."""
    return cluster.replace("/", "_").lower()


def assign_split(record: Record, *, clusters: Mapping[str, str], validation_fraction: float, test_fraction: float) -> str:
    """`validation`, `test`, or the training split of the record's (source, C, R) cluster.

    The unit is the record's sequence cluster; an accession that `clusters` lacks is a unit of its own, by its sequence. A
    unit's hash, as a number in [0, 1), is held out below the fractions, so a record's split depends on its unit alone.
    """
    cluster = clusters.get(record.accession)
    unit = f"sequence {record.sequence}" if cluster is None else f"cluster {cluster}"
    place = hash64(unit) / 2**64
    if place < validation_fraction:
        return VALIDATION
    if place < validation_fraction + test_fraction:
        return TEST
    return split_name(cluster_name(record))
