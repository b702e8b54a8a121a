"""Hits made from the items of an index: what each tells of its item."""

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
"""Columns of an item that a hit is made from."""


def shown_columns(items: pyarrow.Table) -> pyarrow.Table:
    """The items with the columns that hits are made from."""
    return items.select([name for name in SHOWN if name in items.column_names])


def hit_fields(shown: pyarrow.Table, row: int) -> dict:
    """What a hit tells of an item, as fields of `Hit`; `shown` are `shown_columns`."""
    item = item_table.item_at(shown, row)
    if "length" not in item:
        return item | {"length": None}
    genes = item.pop("genes")
    lines = {name: item_table.first_line(item[name]) for name in ("function", "location")}
    known = {"gene": genes[0] if genes else "", "evidence": tuple(item["evidence"])}
    return item | lines | known
