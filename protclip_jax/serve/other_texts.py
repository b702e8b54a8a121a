"""Compares tracks with those for other texts of the index."""

import functools
from collections.abc import Mapping, Sequence

import numpy as np

from protclip_jax.explain.other_texts import Texts, index_texts, others_of
from protclip_jax.inference.segment_contrast import FEWEST_OTHERS, Contrast
from protclip_jax.retrieval.engine import SearchEngine
from protclip_jax.serve.jobs import ContrastJob


class OtherTexts:
    """The texts of an engine's proteins, read on first use."""

    def __init__(self, engine: SearchEngine):
        self._engine = engine

    @functools.cached_property
    def texts(self) -> Texts:
        """Texts by property; empty without proteins."""
        proteins = self._engine.proteins
        return index_texts(proteins.items) if proteins is not None else {}

    def job(self, sequence: str, properties: Mapping[str, str], count: int) -> ContrastJob | None:
        """Compares a protein's texts with up to `count` others each; None if there are too few."""
        if not count:
            return None
        found = others_of(properties, self.texts, count)
        others = {name: some for name, some in found.items() if len(some) >= FEWEST_OTHERS}
        compared = {name: text for name, text in properties.items() if name in others}
        return ContrastJob(sequence, compared, others) if compared else None


def track_answers(
    texts: Mapping[str, str],
    cut: Sequence[bool],
    weights: np.ndarray,
    contrasts: Mapping[str, Contrast],
) -> list[dict]:
    """The answer for each property: text, whether it was cut, weights, and contrast if any."""
    rows = zip(texts.items(), cut, weights, strict=True)
    answers = [
        {"property": name, "text": text, "cut": cut, "weights": row.tolist()}
        for (name, text), cut, row in rows
    ]
    for answer in answers:
        if found := contrasts.get(answer["property"]):
            answer["contrast"] = found.as_json()
    return answers
