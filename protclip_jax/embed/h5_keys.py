"""Names of the datasets in an HDF5 file.

docs/embeddings.md says which program reads which names.
"""

from collections.abc import Callable, Container
from typing import NamedTuple

from data_pipelines.protanno.accession import uniprot_accession


class Named(NamedTuple):
    """The values that a dataset can be named after."""

    position: int
    """Position of the item among the embedded ones, from 0."""
    id: str
    """Unique within the file."""
    sequence_hash: str
    """The value of `data_pipelines.common.hashing.sequence_hash`."""


def by_order(item: Named) -> str:
    """The position in the input, padded so that names sort in input order."""
    return f"{item.position:09}"


def by_id(item: Named) -> str:
    """The id; `/`, which HDF5 takes for a path, becomes `_`."""
    return item.id.replace("/", "_") if item.id not in (".", "") else "_"


def by_accession(item: Named) -> str:
    """The UniProt accession of an id that is or contains one; other ids unchanged."""
    return uniprot_accession(item.id) or by_id(item)


def by_hash(item: Named) -> str:
    """The hash of the sequence as written in the input, by which biotrainer looks proteins up."""
    return item.sequence_hash


H5_KEYS: dict[str, Callable[[Named], str]] = {
    "order": by_order,
    "id": by_id,
    "accession": by_accession,
    "hash": by_hash,
}
"""Naming functions by the value of `--h5_keys`; the first is the default."""


class FreeKeys:
    """Makes names unique: the second dataset of a name gets the suffix `_2`, the third `_3`, …"""

    def __init__(self, taken: Container[str]):
        """`taken` contains the names in the file; it is consulted at every call."""
        self._taken = taken
        self._last: dict[str, int] = {}

    def free(self, key: str) -> str:
        """The key, with a suffix if it is taken."""
        if key not in self._taken:
            return key
        number = self._last.get(key, 1) + 1
        while f"{key}_{number}" in self._taken:
            number += 1
        self._last[key] = number
        return f"{key}_{number}"
