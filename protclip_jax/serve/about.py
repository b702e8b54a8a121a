"""Describes the model and index on the page, and suggests queries."""

import numpy as np
import pyarrow.compute

from data_pipelines.protanno.record import PREFIXES
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.retrieval.index_folder import Index
from protclip_jax.retrieval.scores import DEFINITION
from protclip_jax.serve.limits import Limits

MOST_ORGANISMS = 200
"""The maximum number of organisms that the page suggests."""


def describe_engine(engine: SearchEngine, limits: Limits, title: str, weights: str) -> dict:
    """What the page shows about the model, the indexes and the limits."""
    index = engine.proteins
    limited = ("residues", "text_letters", "prompts", "top")
    shown_limits = {name: getattr(limits, name) for name in limited}
    return {
        "title": title,
        "step": None if index is None else index.manifest["step"],
        "checkpoint": engine.model.fingerprint,
        "proteins": None if index is None else {"items": len(index), "search": index.kind},
        "labels": {name: len(library) for name, library in engine.libraries.items()},
        "score": DEFINITION,
        "calibrated": sorted(map(list, calibrated(engine))),
        "weights": weights,
        "limits": shown_limits,
        "examples": [] if index is None else examples(index),
        "organisms": [] if index is None else organisms(index),
    }


def organisms(index: Index) -> list[dict[str, str | int]]:
    """The most common organisms: name, NCBI taxonomy id (0 if unknown), number of proteins."""
    found = index.items.group_by(["organism", "taxon"]).aggregate([([], "count_all")])
    known = found.filter(pyarrow.compute.not_equal(found["organism"], ""))
    order = [("count_all", "descending"), ("organism", "ascending")]
    rows = known.sort_by(order).slice(0, MOST_ORGANISMS).to_pylist()
    return [
        {"organism": row["organism"], "taxon": row["taxon"], "proteins": row["count_all"]}
        for row in rows
    ]


def calibrated(engine: SearchEngine) -> set[tuple[str, str]]:
    """The pairs of query kind and trait that have calibrated confidences."""
    indexes = [*([engine.proteins] if engine.proteins else []), *engine.libraries.values()]
    known = [engine.calibration, *(index.calibration for index in indexes)]
    return {(table.question, table.trait) for one in filter(None, known) for table in one.tables}


def examples(index: Index) -> list[dict[str, str]]:
    """Suggests queries, based on the annotations of some of the index's proteins."""
    rows = np.linspace(0, len(index) - 1, min(len(index), 50)).astype(int).tolist()
    items = sorted(
        (item_table.item_at(index.items, row) for row in rows),
        key=lambda item: len(item["name"] or ""),
    )
    described = [item for item in items if item_table.property_contents(item)]
    named = [item["name"] for item in described if item["name"]]
    suggested = [{"label": name, "query": name} for name in named[:1]]
    located = [item["location"] for item in described if 0 < len(item["location"]) <= 60]
    suggested += [
        {"label": location, "query": f"{PREFIXES['location']}: {location}"}
        for location in located[-1:]
    ]
    sequenced = [item for item in described or items if 20 <= len(item["sequence"]) <= 1000]
    suggested += [
        {"label": f"the sequence of {item['id']}", "query": f">{item['id']}\n{item['sequence']}"}
        for item in sequenced[-1:]
    ]
    return suggested or [{"label": "ATP-binding kinase", "query": "ATP-binding kinase"}]
