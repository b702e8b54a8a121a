"""How the datasets of an HDF5 file are named. Which program reads which names,
docs/embeddings.md says."""

from collections.abc import Callable, Container
from typing import NamedTuple

from data_pipelines.protanno.accession import uniprot_accession


class Named(NamedTuple):
    """What a dataset can be named by."""

    position: int
    """Of the item among those that are embedded, from 0."""
    id: str
    """Unique in the file."""
    sequence_hash: str
    """As `data_pipelines.common.hashing.sequence_hash` gives it."""


def by_order(item: Named) -> str:
    """The place in the input, so that names sort in its order."""
    return f"{item.position:09}"


def by_id(item: Named) -> str:
    """The id; `/`, which HDF5 takes for a path, becomes `_`."""
    return item.id.replace("/", "_") if item.id not in (".", "") else "_"


def by_accession(item: Named) -> str:
    """The UniProt accession of ids that are or hold one, as in UniProt's own files; other ids as
    they are."""
    return uniprot_accession(item.id) or by_id(item)


def by_hash(item: Named) -> str:
    """The hash of the sequence as it is written in the input, which biotrainer looks proteins up
    by."""
    return item.sequence_hash


H5_KEYS: dict[str, Callable[[Named], str]] = {
    "order": by_order,
    "id": by_id,
    "accession": by_accession,
    "hash": by_hash,
}
"""By the value of `--h5_keys`; the first is the default."""


class FreeKeys:
    """Gives the second dataset of one name the name with `_2`, the third with `_3`, …, so that
    none is lost."""

    def __init__(self, taken: Container[str]):
        """`taken` are the names that the file has at any time."""
        self._taken = taken
        self._last: dict[str, int] = {}

    def free(self, key: str) -> str:
        """The key, or with the next ending that is not taken."""
        if key not in self._taken:
            return key
        number = self._last.get(key, 1) + 1
        while f"{key}_{number}" in self._taken:
            number += 1
        self._last[key] = number
        return f"{key}_{number}"
