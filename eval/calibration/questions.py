"""Held-out questions, a model's hits for them, and whether the two agree."""

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from data_pipelines.protanno.record import PREFIXES, Record, property_texts, with_names
from eval.calibration.traits import TRAITS, Trait, agreement
from eval.pretraining.evaluation import Model
from protclip_jax.retrieval.calibration import LABEL, SEQUENCE, TEXT, traits_of_text

HITS = 20
"""The number of nearest items with known agreement kept per question."""
PROPERTY = {"family": "similarity", "function": "function", "location": "location"}
"""The property whose texts serve as labels for a trait."""


class Hits(NamedTuple):
    """n pairs of a question and one of its hits.

    Attributes:
      cosines: cosine similarity of question and hit.
      margins: the cosine minus the mean of the question's cosines with all items.
      agrees: whether the two agree.
      questions: the index of the record that asks.
      base_rate: the share of agreeing pairs among all pairs with known agreement.
    """

    cosines: Float[np.ndarray, " n"]
    margins: Float[np.ndarray, " n"]
    agrees: Bool[np.ndarray, " n"]
    questions: Int[np.ndarray, " n"]
    base_rate: float

    def of(self, chosen: Bool[np.ndarray, " r"]) -> "Hits":
        """Selects the hits of some records, given as a mask over records."""
        kept = chosen[self.questions]
        return Hits(
            self.cosines[kept],
            self.margins[kept],
            self.agrees[kept],
            self.questions[kept],
            self.base_rate,
        )


class Queries(NamedTuple):
    """Questions as a model sees them: embeddings, their records, and the records' rows."""

    vectors: Float[np.ndarray, "q d"]
    records: list[Record]
    rows: Int[np.ndarray, " q"]


class Embedded(NamedTuple):
    """Records with the embeddings of their proteins."""

    records: list[Record]
    vectors: Float[np.ndarray, "r d"]


class Library(Protocol):
    """Labels whose ids occur in records, as in `label_libraries.Library`."""

    trait: Trait
    labels: Embedded

    def stated(self, record: Record) -> Record:
        """Extends a record with everything that follows from it."""


def measured_hits(
    model: Model,
    held_out: Embedded,
    items: Embedded,
    *,
    names: str,
    libraries: Sequence[Library] = (),
) -> Iterator[tuple[str, Trait, Hits]]:
    """Yields the hits of held-out records among the items, for each kind of question and trait.

    `rows` count held-out records. Texts mention the records' `names`, as in `with_names`; traits
    are read from the unchanged records. Neither a text nor a protein may find the protein that it
    comes from, so the items need not contain an answer.
    """
    own = {record.accession: row for row, record in enumerate(items.records)}
    itself = np.array([own.get(record.accession, -1) for record in held_out.records])
    everything = np.arange(len(held_out.records))
    proteins = Queries(held_out.vectors, held_out.records, everything)
    texts = embed_texts(model, held_out.records, names=names)
    for trait in TRAITS:
        yield SEQUENCE, trait, nearest(proteins, items, trait, left_out=itself)
        queries = queries_for(trait, texts)
        yield TEXT, trait, nearest(queries, items, trait, left_out=itself[queries.rows])
        if trait.name in PROPERTY:
            yield LABEL, trait, nearest(proteins, labels(model, items.records, trait), trait)
    for library in libraries:
        queries = proteins._replace(records=list(map(library.stated, proteins.records)))
        yield LABEL, library.trait, nearest(queries, library.labels, library.trait)


def embed_texts(
    model: Model, records: Sequence[Record], *, names: str
) -> list[tuple[str, int, np.ndarray, Record]]:
    """Embeds each text of a property with its prefix: (text, record's row, embedding, record)."""
    texts = [property_texts(with_names(record, names)).values() for record in records]
    found = [(text, row, record) for row, record in enumerate(records) for text in texts[row]]
    distinct = list(dict.fromkeys(text for text, *_ in found))
    vectors = dict(zip(distinct, model.encode_texts(distinct), strict=True)) if distinct else {}
    return [(text, row, vectors[text], record) for text, row, record in found]


def queries_for(trait: Trait, texts: Sequence[tuple[str, int, np.ndarray, Record]]) -> Queries:
    """The texts that query a trait."""
    chosen = [each for each in texts if trait.name in traits_of_text(each[0])]
    vectors = (
        np.stack([vector for _, _, vector, _ in chosen]) if chosen else np.zeros((0, 1), np.float32)
    )
    rows = np.array([row for _, row, _, _ in chosen], np.int64)
    return Queries(vectors, [record for *_, record in chosen], rows)


def labels(model: Model, records: Sequence[Record], trait: Trait) -> Embedded:
    """The distinct texts of a trait's property, as records that contain nothing else."""
    name = PROPERTY[trait.name]
    found = (property_texts(record).get(name) for record in records)
    texts = dict.fromkeys(filter(None, found))
    prefix = f"{PREFIXES[name]}: "
    bare = Record("", "", "unknown", "", 0, "")
    said = [dataclasses.replace(bare, **{name: text.removeprefix(prefix)}) for text in texts]
    vectors = model.encode_texts(list(texts)) if texts else np.zeros((0, 1), np.float32)
    return Embedded(said, np.asarray(vectors))


def nearest(
    queries: Queries,
    items: Embedded,
    trait: Trait,
    *,
    left_out: Int[np.ndarray, " q"] | None = None,
) -> Hits:
    """The nearest `HITS` items of each question, among those whose agreement is known.

    Args:
      left_out: for each question, the item that is the question itself; −1 if there is none.
    """
    if not len(queries.records) or not len(items.records):
        nothing = np.zeros(0)
        return Hits(nothing, nothing, nothing.astype(bool), nothing.astype(np.int64), 0.0)
    cosines = np.asarray(queries.vectors, np.float64) @ np.asarray(items.vectors, np.float64).T
    means = cosines.mean(axis=1, keepdims=True)
    agrees, known = agreement(trait, queries.records, items.records)
    if left_out is not None:
        rows = np.flatnonzero(left_out >= 0)
        known[rows, left_out[rows]] = False
        agrees[rows, left_out[rows]] = False
    ranked = np.where(known, cosines, -np.inf)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :HITS]
    found = np.take_along_axis(known, order, axis=1)
    rows = np.broadcast_to(queries.rows[:, None], order.shape)
    taken = [
        np.take_along_axis(values, order, axis=1)[found]
        for values in (cosines, cosines - means, agrees)
    ]
    return Hits(*taken, rows[found], float(agrees.sum() / max(1, known.sum())))
