"""Measures one model on one set of proteins: each number, and replicates with resampled clusters.

All models are measured with the same draws of clusters, so that any two can be compared. Quantities
that end in `_remote` cover proteins without a relative in training. If the dataset has the hits of
a search, these are proteins without a hit that covers half of the protein; otherwise those for
which MinHash finds no close relative.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from benchmarks.evidence.intervals import (
    cluster_draws,
    mean_average_precision,
    replicate_map,
    replicate_means,
)
from benchmarks.evidence.measure import Measured
from benchmarks.real.datasets import only
from data_pipelines.protanno.dataset import ProtAnno
from eval.metrics.ranking import best_hit, reciprocal_rank
from eval.pretraining.evaluation import Encoder
from eval.pretraining.groups import NO_HIT, NOT_CLOSE, by_nearness
from eval.pretraining.pool import fixed_pool
from eval.pretraining.single_property import MIN_POSITIVES, Kind, SingleProperty, chance
from eval.pretraining.trained_baselines import TrainedBaselines
from eval.pretraining.transfer_retrieval import cosines, transfer_results

LINEAR = "linear model"
REMOTE = "remote"


class Bench:
    """Retrieval and questions on one split, and the draws of its clusters.

    Args:
      dataset: with its questions.
      split: of the dataset, with whole clusters.
      clusters: accession → cluster; a protein without one is its own.
      worded: the accessions that retrieval is measured on; None = the whole split.
      pool, questioned: maximum number of records for retrieval and for questions.
      replicates, seed: of the draws.
    """

    def __init__(
        self,
        dataset: ProtAnno,
        *,
        split: str,
        clusters: Mapping[str, str],
        worded: Collection[str] | None,
        pool: int,
        questioned: int,
        replicates: int,
        seed: int,
    ):
        with_texts = dataset if worded is None else only(dataset, worded, split=split)
        self.pool = fixed_pool(with_texts, split=split, size=pool)
        # Many proteins have only a location, and so share their text. Questions are asked about all
        # of them.
        self.single = SingleProperty(
            dataset._replace(text_key=unique_key), split=split, pool=questioned
        )
        self._retrieved = [record.accession for record in self.pool.records]
        names = sorted(
            {clusters.get(one, one) for one in (*self._retrieved, *self.single.accessions)}
        )
        self._place = {name: place for place, name in enumerate(names)}
        self._clusters = clusters
        self._draws = cluster_draws(len(names), seed=seed, replicates=replicates)
        self._remote = {
            one: remote(dataset, one)
            for one in (tuple(self._retrieved), tuple(self.single.accessions))
        }

    def model(self, model: Encoder) -> dict[str, Measured]:
        """Measures `p2t_mrr`, `t2p_mrr` and `map_KIND` of a model, over all proteins and `_remote`.

        The model embeds proteins and texts.
        """
        return self._retrieval(cosines(model, self.pool.records)) | self._questions(
            self.single.scores(model)
        )

    def baselines(self, trained: TrainedBaselines) -> dict[str, dict[str, Measured]]:
        """Measures the linear model and each way to transfer annotations.

        The options of annotation transfer are chosen with the linear model.
        """
        if trained.linear is None:
            return {}
        found = {LINEAR: self.model(trained.linear.model)}
        for name, result in transfer_results(
            trained.linear.model, trained, self.pool.records
        ).items():
            found[name] = self._retrieval(result.scores)
        for name, answers in self.single.transfers(trained.linear.model, trained).items():
            found[name] = found.get(name, {}) | self._questions(answers.scores)
        return found

    def _retrieval(self, scores: Float[np.ndarray, "N N"]) -> dict[str, Measured]:
        hits = np.eye(len(scores), dtype=bool)
        clusters, found = self._places(self._retrieved), {}
        for direction, matrix in {"p2t": scores, "t2p": scores.T}.items():
            ranks = reciprocal_rank(*best_hit(matrix, hits))
            for ending, members in self._groups(self._retrieved):
                if members.any():
                    replicates = replicate_means(ranks[members], clusters[members], self._draws)
                    found[f"{direction}_mrr{ending}"] = Measured(
                        float(ranks[members].mean()), replicates
                    )
        return found

    def _questions(self, scores: Mapping[str, Float[np.ndarray, "_ _"]]) -> dict[str, Measured]:
        found = {}
        for ending, members in self._groups(self.single.accessions):
            for name, kind in self.single.kinds.items():
                questions, own = answerable(kind, members)
                if questions.any():
                    part = np.ix_(questions, own)
                    found[f"map_{name}{ending}"] = self._map(
                        scores[name][part], kind.answered[part], kind.known[own]
                    )
        return found

    def chance(self, name: str) -> float:
        """The expected MAP of a random order, for one kind of questions to all proteins."""
        return float(chance(self.single.kinds[name].answered).mean())

    def _map(
        self,
        scores: Float[np.ndarray, "Q N"],
        answered: Bool[np.ndarray, "Q N"],
        known: Int[np.ndarray, " N"],
    ) -> Measured:
        clusters = self._places(self.single.accessions)[known]
        replicates = replicate_map(scores, answered, clusters, self._draws)
        return Measured(mean_average_precision(scores, answered), replicates)

    def _groups(self, accessions: Sequence[str]) -> Iterator[tuple[str, Bool[np.ndarray, " N"]]]:
        yield "", np.ones(len(accessions), bool)
        yield f"_{REMOTE}", self._remote[tuple(accessions)]

    def _places(self, accessions: Sequence[str]) -> Int[np.ndarray, " N"]:
        return np.array([self._place[self._clusters.get(one, one)] for one in accessions], np.int64)


def unique_key(text: str) -> object:
    """A key that differs from that of every other text, even an equal one."""
    del text
    return object()


def remote(dataset: ProtAnno, accessions: Sequence[str]) -> Bool[np.ndarray, " N"]:
    """Marks the records without a known relative in training; all if nothing is known."""
    groups = {group.name: group.members for group in by_nearness(dataset, accessions)}
    if not groups:
        return np.ones(len(accessions), bool)
    nothing = np.zeros(len(accessions), bool)
    return groups.get(NO_HIT, nothing) | groups.get(NOT_CLOSE, nothing)


def answerable(
    kind: Kind, members: Bool[np.ndarray, " N"]
) -> tuple[Bool[np.ndarray, " Q"], Bool[np.ndarray, " K"]]:
    """Selects questions and proteins of a kind for a group of proteins.

    Returns:
      Which questions are answered by enough members but not by all, and which of the kind's
      proteins are members.
    """
    own = members[kind.known]
    positives = kind.answered[:, own].sum(1)
    return (positives >= MIN_POSITIVES) & (positives < own.sum()), own
