"""Reads the build-related fields of a lab's JSON lines: an entry's cluster and exclusion marks.

They are read before the build, in one process; entries in other formats have no such fields. Broken
entries are skipped here, because the build rejects them.
"""

import array
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from data_pipelines.build.cluster_files import ClusterUnits, from_arrays
from data_pipelines.build.exclude import sequence_key
from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import cluster_unit
from data_pipelines.readers import raw_entries
from data_pipelines.readers.uniprot.lab_jsonl import LabJsonl

ONLY = "only a lab's JSON lines can have such fields"


def lab_objects(paths: Iterable[Path]) -> Iterator[dict]:
    """Yields the objects of a lab's JSON lines in these files.

    Raises:
      UserError: a file cannot be read.
    """
    for path in paths:
        for raw in raw_entries(path):
            if raw.format != LabJsonl.name or raw.problem:
                continue
            try:
                entry = json.loads(raw.content)
            except (ValueError, RecursionError):
                continue
            if isinstance(entry, dict):
                yield entry


def read_cluster_field(paths: Iterable[Path], field: str) -> ClusterUnits:
    """Reads the cluster of each entry that has the field.

    Raises:
      UserError: a file cannot be read, no entry has the field, or an accession is in two clusters.
    """
    accessions, units = array.array("Q"), array.array("Q")
    for entry in lab_objects(paths):
        accession, cluster = entry.get("accession"), entry.get(field)
        if isinstance(accession, str) and isinstance(cluster, str | int) and cluster != "":
            accessions.append(hash64(accession.strip()))
            units.append(cluster_unit(str(cluster)))
    if not accessions:
        raise UserError(f"no entry of the input has the field {field} of --cluster_field; {ONLY}.")

    def refuse() -> None:
        raise UserError(
            f"the input puts an accession into two clusters of the field {field}; keep one."
        )

    return from_arrays(accessions, units, refuse=refuse)


def read_marked(paths: Sequence[Path], marks: Sequence[str]) -> dict[int, tuple[str, ...]]:
    """Maps the `sequence_key` of each marked entry to the marks that apply.

    Args:
      marks: `FIELD` applies if the field is true, a nonzero number or not empty; `FIELD=VALUE`
        applies if it equals that text or is a list that contains it.

    Raises:
      UserError: a file cannot be read, or no entry has one of the fields.
    """
    fields = {mark: mark.partition("=")[::2] for mark in marks}
    unknown = {field for field, _ in fields.values()}
    marked: dict[int, tuple[str, ...]] = {}
    for entry in lab_objects(paths) if marks else ():
        unknown -= entry.keys()
        found = [mark for mark, (name, value) in fields.items() if _applies(entry.get(name), value)]
        sequence = entry.get("sequence")
        if found and isinstance(sequence, str):
            try:
                key = sequence_key(sequence)
            except ValueError:
                continue
            marked[key] = tuple(dict.fromkeys([*marked.get(key, ()), *found]))
    if unknown:
        raise UserError(
            f"no entry of the input has the field {min(unknown)} of --exclude_entries; {ONLY}."
        )
    return marked


def _applies(found: object, value: str) -> bool:
    if not value:
        return bool(found)
    return value in found if isinstance(found, list) else found == value
