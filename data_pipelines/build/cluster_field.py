"""Similarity clusters that a field of a lab's JSON lines names."""

import array
import json
from collections.abc import Iterable
from pathlib import Path

from data_pipelines.build.cluster_files import ClusterUnits, from_arrays
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import cluster_unit
from data_pipelines.readers import raw_entries
from data_pipelines.readers.uniprot.lab_jsonl import LabJsonl


def read_cluster_field(paths: Iterable[Path], field: str) -> ClusterUnits:
    """The cluster of each entry that has the field, of all files; entries of other formats are in none.

    Broken entries are passed over here, as the build rejects them.

    Raises:
      UserError: a file cannot be read, no entry has the field, or an accession is in two clusters.
    """
    accessions, units = array.array("Q"), array.array("Q")
    entries = (raw for path in paths for raw in raw_entries(path) if raw.format == LabJsonl.name)
    for raw in entries:
        try:
            entry = json.loads(raw.content)
            accession, cluster = entry["accession"], entry[field]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if isinstance(accession, str) and isinstance(cluster, str | int) and cluster != "":
            accessions.append(hash64(accession.strip()))
            units.append(cluster_unit(str(cluster)))
    if not accessions:
        raise UserError(f"no entry of the input has the field {field}; --cluster_field reads a lab's JSON lines alone.")

    def refuse() -> None:
        raise UserError(f"the input puts an accession into two clusters of the field {field}; keep one.")

    return from_arrays(accessions, units, refuse=refuse)
