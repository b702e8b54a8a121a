"""Annotation transfer as a baseline of retrieval: near proteins lend texts that rank candidates.

All choices are made on the validation split, by the mean reciprocal rank of both directions:
whether words (tf-idf) or the model's text tower compare texts, how much a shared organism counts,
and how much homology weighs against the model.
"""

import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array

from data_pipelines.protanno.record import Record, biotext
from eval.baselines.bags import counted, inverse_document_frequency, unit_rows, word_ids
from eval.baselines.neighbours import (
    Neighbours,
    by_composition,
    by_kmers,
    from_hits,
    transferred_texts,
)
from eval.metrics.ranking import best_hit, reciprocal_rank
from eval.pretraining.evaluation import Encoder
from eval.pretraining.trained_baselines import TrainedBaselines

KMERS, COMPOSITION, PRIOR, COMBINED = (
    "3-mers",
    "composition, length and organism",
    "label prior",
    "homology and model",
)
RANDOM, UNTUNED = "random weights", "nothing to choose"
ORGANISM = (0.0, 1.0, 3.0, 10.0)
"""What a shared organism may add to the similarity of compositions."""
MODEL_SHARES = tuple(np.linspace(1, 0, 11).tolist())
"""Of equals the first is chosen: the model alone, if homology adds nothing."""
PRIOR_TEXTS = 256
"""Training texts that the text tower reads for the prior."""

Scores = Float[np.ndarray, "N N"]
Compare = Callable[[Sequence[str], Sequence[str]], Float[np.ndarray, "N M"]]
"""Maps transferred texts ('' = none) and candidates to their similarities."""


class TransferResult(NamedTuple):
    """Scores of the pool's proteins (rows) with its texts, and the setting chosen on validation."""

    scores: Scores
    chosen: str
    validation_mrr: float


class Pools(NamedTuple):
    """The records for choices and those to measure on, each with distinct biotexts."""

    validation: Sequence[Record]
    test: Sequence[Record]

    @property
    def both(self) -> list[Record]:
        return [*self.validation, *self.test]


class Candidate(NamedTuple):
    """A way to score, applied to both pools."""

    name: str
    validation: Scores
    test: Scores


def transfer_results(
    model: Encoder, baselines: TrainedBaselines, test: Sequence[Record]
) -> dict[str, TransferResult]:
    """Builds the transfers that the dataset and hit files allow, and the best with the model.

    By name. Empty without a validation split, on which they are chosen, or without training
    records.
    """
    pools = Pools(baselines.validation, test)
    if not pools.validation or not baselines.references:
        return {}
    compares = text_comparisons(model, baselines.references)
    sources = neighbour_sources(baselines, pools)
    best = {name: _best(_candidates(found, pools, compares)) for name, found in sources.items()}
    homology = max(
        (name for name in best if name != COMPOSITION), key=lambda name: best[name].validation_mrr
    )
    best[PRIOR] = _best(
        [_scored("words", lambda records: [""] * len(records), pools, compares["words"])]
    )
    best[COMBINED] = _best(_combinations(model, best[homology].candidate, pools, homology))
    if baselines.untrained is not None:
        best[RANDOM] = _best(
            [Candidate(UNTUNED, *(cosines(baselines.untrained, records) for records in pools))]
        )
    return {
        name: TransferResult(own.candidate.test, own.candidate.name, own.validation_mrr)
        for name, own in best.items()
    }


def cosines(model: Encoder, records: Sequence[Record]) -> Scores:
    """Scores of the records' proteins (rows) with their texts."""
    return (
        model.encode_proteins([record.sequence for record in records])
        @ model.encode_texts(list(map(biotext, records))).T
    )


def neighbour_sources(
    baselines: TrainedBaselines, pools: Pools
) -> dict[str, list[tuple[str, Neighbours]]]:
    """By name, the neighbours of both pools for each setting of a source."""
    splits, queries = baselines.dataset.splits, [record.accession for record in pools.both]
    sources = {
        name: [("", from_hits(path, splits, queries))] for name, path in baselines.hits.items()
    }
    sources[KMERS] = [("", by_kmers(baselines.references, pools.both))]
    sources[COMPOSITION] = [
        (
            f"organism {weight:g}, ",
            by_composition(baselines.references, pools.both, organism=weight),
        )
        for weight in ORGANISM
    ]
    return sources


def text_comparisons(model: Encoder, references: Sequence[Record]) -> dict[str, Compare]:
    """By words, and by the model's text tower."""
    texts = [biotext(record) for record in references]
    spaced = np.linspace(0, len(texts) - 1, min(len(texts), PRIOR_TEXTS)).astype(int)
    return {
        "words": ReferenceWords(texts).compare,
        "text tower": functools.partial(by_tower, model, [texts[place] for place in spaced]),
    }


class ReferenceWords:
    """The words of training texts: their rarity, and the mean of the texts' tf-idf rows."""

    def __init__(self, texts: Sequence[str]):
        self._vocabulary: dict[str, int] = {}
        counts = self._counts(texts, self._vocabulary)
        self._weights = inverse_document_frequency(counts)
        self._prior = np.asarray(unit_rows(counts, self._weights).mean(axis=0)).ravel()
        # The rarity of a word that no training text has.
        self._rarest = np.log(1 + len(texts)) + 1

    def compare(self, lent: Sequence[str], candidates: Sequence[str]) -> Float[np.ndarray, "N M"]:
        """The tf-idf cosine of words; for '' the training texts' mean is compared."""
        vocabulary = dict(self._vocabulary)
        counts = self._counts([*lent, *candidates], vocabulary)
        added = len(vocabulary) - len(self._vocabulary)
        rows = unit_rows(counts, np.append(self._weights, np.full(added, self._rarest)))
        said = rows[len(lent) :]
        scores = (rows[: len(lent)] @ said.T).toarray()
        scores[[not text for text in lent]] = said @ np.append(self._prior, np.zeros(added))
        return scores

    @staticmethod
    def _counts(texts: Sequence[str], vocabulary: dict[str, int]) -> csr_array:
        """Counts the words of each text; new words are added to the vocabulary."""
        ids = [word_ids(text, vocabulary) for text in texts]
        return counted(ids, len(vocabulary))


def by_tower(
    model: Encoder, references: Sequence[str], lent: Sequence[str], candidates: Sequence[str]
) -> np.ndarray:
    """The cosine of text embeddings; for '' the references' mean is compared."""
    distinct = sorted(set(filter(None, lent)))
    embedded = model.encode_texts([*distinct, *references, *candidates])
    own, known, said = np.split(embedded, [len(distinct), len(distinct) + len(references)])
    row_of = dict(zip(distinct, own, strict=True)) | {"": known.mean(0)}
    return np.stack([row_of[text] for text in lent]) @ said.T


def _candidates(
    settings: Iterable[tuple[str, Neighbours]], pools: Pools, compares: Mapping[str, Compare]
) -> list[Candidate]:
    return [
        _scored(f"{setting}{name}", functools.partial(_lent, neighbours), pools, compare)
        for setting, neighbours in settings
        for name, compare in compares.items()
    ]


def _lent(neighbours: Neighbours, records: Sequence[Record]) -> list[str]:
    return [
        " ".join(transferred_texts(neighbours.get(record.accession, ())).values())
        for record in records
    ]


def _scored(
    name: str, lend: Callable[[Sequence[Record]], list[str]], pools: Pools, compare: Compare
) -> Candidate:
    return Candidate(
        name, *(compare(lend(records), list(map(biotext, records))) for records in pools)
    )


def _combinations(
    model: Encoder, homology: Candidate, pools: Pools, name: str
) -> Iterable[Candidate]:
    """Mixes the standardised scores of both by the model's share."""
    own = [standardised(cosines(model, records)) for records in pools]
    lent = [standardised(homology.validation), standardised(homology.test)]
    for share in MODEL_SHARES:
        mixed = [share * a + (1 - share) * b for a, b in zip(own, lent, strict=True)]
        yield Candidate(f"{name}, model's share {share:.1f}", *mixed)


def standardised(scores: Scores) -> Scores:
    """Standardises to mean 0 and deviation 1 over all pairs; zeros where all are equal."""
    spread = scores.std()
    return (scores - scores.mean()) / spread if spread > 0 else np.zeros_like(scores)


class Best(NamedTuple):
    """The candidate with the best validation MRR, and that MRR."""

    candidate: Candidate
    validation_mrr: float


def _best(candidates: Iterable[Candidate]) -> Best:
    """The best candidate, the first of equals."""
    measured = [
        Best(one, float(mean_reciprocal_ranks(one.validation).mean())) for one in candidates
    ]
    return max(measured, key=lambda best: best.validation_mrr)


def mean_reciprocal_ranks(scores: Scores) -> Float[np.ndarray, " N"]:
    """For each record, the mean of both directions; its own text is the hit."""
    hits = np.eye(len(scores), dtype=bool)
    return np.mean(
        [reciprocal_rank(*best_hit(matrix, hits)) for matrix in (scores, scores.T)], axis=0
    )
