"""What a text names among the items of an index."""

import numpy as np
import pyarrow
import pytest

from data_pipelines.protanno.record import Record
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.lookup import look_up

PROTEINS = (
    ("sp|P07260|IF4E_YEAST", "Factor 4E", {"entry_name": "IF4E_YEAST", "genes": ("CDC33", "YOL139C")}),
    ("P12345", "Alcohol dehydrogenase (x.y)", {"other_names": ("EC 1.1.1.1", "ADH"), "go": ("GO:0005524",)}),
    ("sp|P54321|ADH_TEST", "Kinase of factor 4e",
     {"entry_name": "ADH_TEST", "other_names": ("EC 1.1.1.10",), "genes": ("cdc33",)}),
    ("mine", "", {"genes": ("ADH", "factor 4E")}),
    ("P12345_2", "CDC33-like", {"go": ("GO:0005525", "GO:0005524")}),
)  # fmt: skip


@pytest.fixture(scope="module")
def items():
    """In two parts, as an index that was added to."""
    rows = [
        item_table.protein_item(
            id, source="x", record=Record(id, **({"entry_name": "", "name": name} | facts), **REST)
        )
        for id, name, facts in PROTEINS
    ]
    schema = item_table.SCHEMAS["protein"]
    return pyarrow.Table.from_batches(
        [item_table.record_batch(some, schema) for some in (rows[:3], rows[3:])]
    )


REST = {"source": "unknown", "sequence": "MKV", "existence": 0}


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("P07260", [(0, "accession")]),
        ("p07260", [(0, "accession")]),
        (" P12345 ", [(1, "id")]),
        ("sp|P54321|ADH_TEST", [(2, "id")]),
        ("sp|P54321|OLD_TEST", [(2, "accession")]),
        ("if4e_yeast", [(0, "entry name")]),
        ("CDC33", [(0, "gene"), (2, "gene"), (4, "name")]),
        ("YOL139C", [(0, "gene")]),
        ("1.1.1.1", [(1, "EC number")]),
        ("EC 1.1.1.-", [(1, "EC number"), (2, "EC number")]),
        ("ec:1.1", [(1, "EC number"), (2, "EC number")]),
        ("GO:0005524", [(1, "GO id"), (4, "GO id")]),
        ("go:0005525", [(4, "GO id")]),
        ("factor 4e", [(3, "gene"), (0, "name"), (2, "name")]),
        ("(x.y)", [(1, "name")]),
        ("x.y", [(1, "name")]),
        ("P0726.", []),
        ("4E", []),
        ("PROTEIN NAME: Factor 4E", []),
        ("zinc", []),
        ("", []),
    ],
)
def test_exact_matches_lead_and_names_follow(items, typed, expected):
    assert look_up(items, typed, top=5) == expected


def test_the_number_and_the_rows_are_limited(items):
    assert look_up(items, "GO:0005524", top=1) == [(1, "GO id")]
    assert look_up(items, "CDC33", top=1) == [(0, "gene"), (4, "name")]
    assert look_up(items, "CDC33", top=5, among=np.array([2, 3])) == [(2, "gene")]


def test_labels_are_found_by_id_and_name():
    names = {"GO:1": "ATP binding", "b": "c"}
    rows = [
        item_table.label_item(id, name=name, source="x", prompts=["p"])
        for id, name in names.items()
    ]
    items = pyarrow.Table.from_batches([item_table.record_batch(rows, item_table.SCHEMAS["label"])])
    assert look_up(items, "go:1", top=3) == [(0, "id")]
    assert look_up(items, "atp", top=3) == [(0, "name")]
