"""The ceiling of a sample: a judge who knows what is planted finds each protein's text.

The judge knows the true answers of each protein, what each text says, and how often texts err; it
does not know which text belongs to which protein. No model that reads sequences can know more
than it does of single properties.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import logsumexp

from data_pipelines.protanno.questions import Questions
from data_pipelines.protanno.record import EXISTENCE, Record

ROUNDS = 50
"""Rounds of normalising columns and rows; more of them change no rank."""

Facts = Mapping[str, Mapping[str, frozenset[str]]]
"""Accession → property (the prefix of a question) → the true, or stated, answers."""


class Judge(NamedTuple):
    """What the judge knows.

    Attributes:
      properties: P prefixes of questions.
      true: the answers of each protein.
      said: what its text says.
      share: of the pool's records, by existence.
      right: of texts of that existence that speak of a property, the share that says nothing
        untrue.
      chance: by what is said of a property, the share of training proteins of which it is true.
    """

    properties: tuple[str, ...]
    true: Facts
    said: Facts
    share: Float[np.ndarray, " E"]
    right: Float[np.ndarray, "E P"]
    chance: Mapping[tuple[str, frozenset[str]], float]

    def scores(
        self, proteins: Sequence[Record], texts: Sequence[Record]
    ) -> Float[np.ndarray, "N M"]:
        """log P(text | protein) − log P(text) of each protein with the text of each record.

        Given the existence e of the text's record, unknown to the judge, properties err
        independently: Σ_e share_e Π_p (right_ep / chance_p where what is said is true of the
        protein, else (1 − right_ep) / (1 − chance_p)).
        """
        ratios = np.ones((len(self.share), len(proteins), len(texts)))
        for place, name in enumerate(self.properties):
            for column, record in enumerate(texts):
                claim = self.said[record.accession].get(name)
                if claim:
                    ratios[:, :, column] *= self._ratio(place, claim, proteins)
        return np.log(np.tensordot(self.share, ratios, axes=1))

    def _ratio(
        self, place: int, claim: frozenset[str], proteins: Sequence[Record]
    ) -> Float[np.ndarray, "E N"]:
        name, right = self.properties[place], self.right[:, place, None]
        chance = self.chance[name, claim]
        true = [claim <= self.true[record.accession].get(name, frozenset()) for record in proteins]
        return np.where(true, right / chance, (1 - right) / (1 - chance))


def matched(scores: Float[np.ndarray, "N N"]) -> Float[np.ndarray, "N N"]:
    """Makes log scores doubly stochastic by Sinkhorn's iteration.

    Each protein has one text and each text one protein, so what fits many proteins counts less for
    each. A judge may use that, since it knows the whole pool.
    """
    for _ in range(ROUNDS):
        scores = scores - logsumexp(scores, axis=0, keepdims=True)
        scores = scores - logsumexp(scores, axis=1, keepdims=True)
    return scores


def facts_of(questions: Questions) -> Facts:
    """The same by accession and property, empty for others."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for of_kind in questions.values():
        for question, accessions in of_kind.items():
            for accession in accessions:
                found[accession][question.partition(":")[0]].add(question)
    facts: dict[str, dict[str, frozenset[str]]] = defaultdict(dict)
    for accession, properties in found.items():
        facts[accession] = {name: frozenset(stated) for name, stated in properties.items()}
    return facts


def fit_judge(
    true: Questions, said: Questions, training: Sequence[Record], pool: Sequence[Record]
) -> Judge:
    """Learns how often texts err from training records, and base rates from a pool's texts.

    One is added to the count of each outcome, so that nothing is certain.
    """
    truths, claims = facts_of(true), facts_of(said)
    properties = tuple(sorted({name for said_of in claims.values() for name in said_of}))
    levels = {existence: place for place, existence in enumerate(EXISTENCE)}
    outcomes = np.ones((len(levels), len(properties), 2))
    for record in training:
        for place, name in enumerate(properties):
            if claim := claims[record.accession].get(name):
                right = claim <= truths[record.accession].get(name, frozenset())
                outcomes[levels[record.existence], place, int(right)] += 1
    counts = np.bincount([levels[record.existence] for record in pool], minlength=len(levels))
    stated = {item for record in pool for item in claims[record.accession].items()}
    chance = {item: _share(_holds(truths, training, *item)) for item in stated}
    return Judge(
        properties, truths, claims, counts / len(pool), outcomes[:, :, 1] / outcomes.sum(2), chance
    )


def _holds(
    truths: Facts, records: Sequence[Record], name: str, claim: frozenset[str]
) -> Bool[np.ndarray, " N"]:
    return np.array(
        [claim <= truths[record.accession].get(name, frozenset()) for record in records]
    )


def _share(holds: Bool[np.ndarray, " N"]) -> float:
    return (holds.sum() + 1) / (len(holds) + 2)
