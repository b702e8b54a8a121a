"""Answers single-property questions from the training proteins near a protein."""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from data_pipelines.protanno.record import Record
from eval.baselines.neighbours import Neighbour, Neighbours

PRIOR_WEIGHT = 0.01
"""The weight of the base rate in training, beside the neighbours' weights, which sum to 1.

It decides where neighbours say nothing, and breaks ties.
"""


def label_scores(
    neighbours: Neighbours,
    accessions: Sequence[str],
    answered: Sequence[Collection[str]],
    known: Collection[str],
    *,
    first: int | None,
) -> Float[np.ndarray, "Q N"]:
    """For Q questions and N proteins, the weighted share of neighbours that answer.

    Only neighbours of which the kind of question is known count, and of these the `first` ones
    (None = all).

    Args:
      accessions: of the proteins.
      answered: by question, the accessions of the training records that answer it.
      known: of all training records of which the kind is known.
    """
    prior = np.array([len(names) / max(len(known), 1) for names in answered])
    columns = [
        _of_protein(neighbours.get(accession, ()), answered, known, first)
        for accession in accessions
    ]
    return (np.stack(columns, axis=1) + PRIOR_WEIGHT * prior[:, None]) / (1 + PRIOR_WEIGHT)


def _of_protein(
    neighbours: Sequence[Neighbour],
    answered: Sequence[Collection[str]],
    known: Collection[str],
    first: int | None,
) -> Float[np.ndarray, " Q"]:
    informative = [
        (one.record.accession, one.weight) for one in neighbours if one.record.accession in known
    ][:first]
    total = sum(weight for _, weight in informative)

    def answering(names: Collection[str]):
        return sum(weight for name, weight in informative if name in names)

    shares = [answering(names) for names in answered]
    return np.array(shares, float) / total if total else np.zeros(len(shares))


def training_answers(
    texts: Sequence[str], records: Sequence[Record], said: Mapping[str, Collection[str]]
) -> tuple[list[frozenset[str]], frozenset[str]]:
    """By question, the accessions that answer it, and all for which the kind is known.

    `said` are a kind's questions by their text, with the accessions that answer each.
    """
    present = frozenset(record.accession for record in records)
    known = frozenset().union(*map(frozenset, said.values())) & present if said else frozenset()
    return [frozenset(said.get(text, ())) & present for text in texts], known
