"""Selects the proteins of an index by organism."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.compute
from jaxtyping import Int64

from data_pipelines.common.errors import UserError

SHOWN = 5


def rows_of_taxa(
    items: pyarrow.Table, taxa: Sequence[str], *, folder: Path
) -> Int64[np.ndarray, " m"]:
    """The rows of all proteins of the given organisms, ascending.

    Args:
      items: the items of an index of proteins.
      taxa: ids of the NCBI taxonomy, which do not include the taxa below them, or prefixes of
        scientific names.
      folder: the folder of the index, for messages.

    Raises:
      UserError: a taxon has no protein in the index.
    """
    chosen = np.zeros(len(items), bool)
    for taxon in taxa:
        of_taxon = _is_of(items, taxon.strip())
        if not of_taxon.any():
            raise UserError(
                f"the index {folder} has no protein of taxon {taxon!r}; {_known(items)}."
            )
        chosen |= of_taxon
    return np.flatnonzero(chosen)


def _is_of(items: pyarrow.Table, taxon: str) -> np.ndarray:
    if taxon.isascii() and taxon.isdecimal():
        found = pyarrow.compute.equal(items["taxon"], min(int(taxon), np.iinfo(np.int64).max))
    elif taxon:
        found = pyarrow.compute.starts_with(items["organism"], taxon, ignore_case=True)
    else:
        return np.zeros(len(items), bool)
    return found.to_numpy()


def _known(items: pyarrow.Table) -> str:
    """Lists the most frequent organisms of the index, for messages."""
    counts = items.group_by(["organism", "taxon"]).aggregate([([], "count_all")])
    known = counts.filter(pyarrow.compute.not_equal(counts["organism"], "")).sort_by(
        [("count_all", "descending")]
    )
    if not len(known):
        return (
            "it has no organisms; rebuild it from UniProt entries, or from FASTA files with "
            "UniProt headers"
        )
    shown = [
        f"{row['organism']} ({row['taxon'] or 'no id'})"
        for row in known.slice(0, SHOWN).to_pylist()
    ]
    more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
    return f"it has {', '.join(shown)}{more}"
