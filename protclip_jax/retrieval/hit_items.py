"""The fields of a hit that come from its item in the index."""

import pyarrow

from protclip_jax.retrieval import item_table

SHOWN = (
    "id",
    "name",
    "source",
    "length",
    "entry_name",
    "genes",
    "organism",
    "taxon",
    "function",
    "location",
    "evidence",
)
"""Columns of an item that a hit shows."""


def shown_columns(items: pyarrow.Table) -> pyarrow.Table:
    """Selects the columns that hits show."""
    return items.select([name for name in SHOWN if name in items.column_names])


def hit_fields(shown: pyarrow.Table, row: int) -> dict:
    """The fields of `Hit` for the item in a row; `shown` comes from `shown_columns`."""
    item = item_table.item_at(shown, row)
    if "length" not in item:
        return item | {"length": None}
    genes = item.pop("genes")
    lines = {name: item_table.first_line(item[name]) for name in ("function", "location")}
    known = {"gene": genes[0] if genes else "", "evidence": tuple(item["evidence"])}
    return item | lines | known
