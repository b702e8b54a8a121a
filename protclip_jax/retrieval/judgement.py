"""Adds confidences from the calibration to hits, or else q-values from decoys."""

import dataclasses

import numpy as np
from jaxtyping import Float32

from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.answer import Answer, Hit
from protclip_jax.retrieval.calibration import (
    FEWEST_LABELS,
    LABEL,
    SEQUENCE,
    TEXT,
    TRAITS,
    Calibration,
    traits_of_label,
    traits_of_text,
)
from protclip_jax.retrieval.index_folder import Index
from protclip_jax.retrieval.query import Query
from protclip_jax.retrieval.scores import cosines_with, q_values


def with_confidence(
    answer: Answer,
    query: Query,
    vector: Float32[np.ndarray, " d"],
    *,
    index: Index,
    items: int,
    calibration: Calibration | None,
) -> Answer:
    """Adds confidences to the hits, or q-values if no table applies and the index has decoys.

    With both shuffled and unrelated proteins, a hit gets the larger of the two q-values.

    Args:
      vector: the query embedding, of the width of the index.
      items: number of items searched.
      calibration: the calibration to use, or None.
    """
    hits = answer.hits
    if calibration is not None:
        hits = [_confident(hit, query, index=index, calibration=calibration) for hit in hits]
    decoy_sets = [each for each in (index.decoys, index.entrapment) if each is not None]
    if hits and decoy_sets and not any(hit.confidences for hit in hits):
        cosines = np.array([hit.cosine for hit in hits])
        found = [
            q_values(cosines, cosines_with(vector[None], decoys)[0], items=items)
            for decoys in decoy_sets
        ]
        hits = [
            dataclasses.replace(hit, q_value=float(q))
            for hit, q in zip(hits, np.max(found, axis=0), strict=True)
        ]
    return dataclasses.replace(answer, hits=hits)


def _confident(hit: Hit, query: Query, *, index: Index, calibration: Calibration) -> Hit:
    if index.manifest["modality"] == "label":
        # Calibration measures protein queries against many labels.
        if query.kind == "text" or len(index) < FEWEST_LABELS:
            return hit
        prompts = item_table.item_at(index.items, hit.row)["prompts"]
        tables = calibration.of(LABEL, traits_of_label(hit.id, prompts[0]))
    elif query.kind == "text":
        tables = calibration.of(TEXT, traits_of_text(query.contents[0]))
    else:
        tables = calibration.of(SEQUENCE, TRAITS)
    return dataclasses.replace(
        hit, confidences=tuple(table.confidence(hit.cosine, hit.margin) for table in tables)
    )
