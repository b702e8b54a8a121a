"""Measures one model in one world: each number, and its replicates with resampled clusters.

All models of a world and seed are measured with the same draws of clusters, so that any two can be
compared.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from benchmarks.evidence.intervals import (
    cluster_draws,
    mean_average_precision,
    replicate_map,
    replicate_means,
)
from data_pipelines.protanno.dataset import ProtAnno
from eval.pretraining.evaluation import Encoder, Model
from eval.pretraining.retrieval import Retrieval
from eval.pretraining.segment_localisation import LOCALISED, SegmentLocalisation
from eval.pretraining.segment_swap import PROPERTIES, SegmentSwap
from eval.pretraining.single_property import SingleProperty
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed

POOL = 256
"""Records of the split with distinct biotexts among which texts and proteins are retrieved."""


class Measured(NamedTuple):
    """A number, and its replicates [B] with resampled clusters."""

    value: float
    replicates: Float[np.ndarray, " B"]


def read_clusters(path: Path) -> dict[str, str]:
    """Reads the cluster of each accession from the sample's `clusters.tsv`."""
    clusters = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        cluster, accession = line.split("\t")
        clusters[accession] = cluster
    return clusters


class Bench:
    """The evaluations of one world's split, and the draws of its clusters.

    Args:
      clusters: the cluster of each accession.
      seed: random seed of the draws.
    """

    def __init__(self, dataset: ProtAnno, clusters: Mapping[str, str], *, split: str, seed: int):
        self.retrieval = Retrieval(dataset, split=split, pool=POOL)
        self.single = SingleProperty(dataset, split=split)
        self.swap = SegmentSwap(dataset, split=split)
        self.localisation = SegmentLocalisation(dataset, split=split, pool=POOL)
        # Taggers do not depend on a config.
        self._baselines = TrainedBaselines(dataset, completed({}))
        swapped = [swap.record.accession for swap in self.swap.swaps]
        # The proteins of localisation are among those of retrieval, since the pool is the same.
        accessions = {*self.retrieval.accessions, *self.single.accessions, *swapped}
        names = sorted({clusters[accession] for accession in accessions})
        self._place = {accession: names.index(clusters[accession]) for accession in accessions}
        self._swapped = self._places(swapped)
        self._draws = cluster_draws(len(names), seed=seed)

    def _places(self, accessions: Sequence[str]) -> Int[np.ndarray, " N"]:
        return np.array([self._place[accession] for accession in accessions], np.int64)

    def encoder(self, model: Encoder) -> dict[str, Measured]:
        """Measures `mrr`, `map` and `map_KIND` of a model that embeds proteins and texts."""
        found = {
            "mrr": self._mean(
                self.retrieval.reciprocal_ranks(model), self._places(self.retrieval.accessions)
            )
        }
        kinds = {}
        for name, scores in self.single.scores(model).items():
            kind = self.single.kinds[name]
            clusters = self._places(self.single.accessions)[kind.known]
            replicates = replicate_map(scores, kind.answered, clusters, self._draws)
            kinds[f"map_{name}"] = Measured(
                mean_average_precision(scores, kind.answered), replicates
            )
        value = float(np.mean([each.value for each in kinds.values()]))
        replicates = np.mean([each.replicates for each in kinds.values()], axis=0)
        return found | {"map": Measured(value, replicates)} | kinds

    def network(self, model: Model) -> dict[str, Measured]:
        """Measures everything in `encoder` and `places`, and the swap scores.

        `swap` is over all proteins with two places, `swap_PROPERTY` over those of a property.
        """
        scores = self.swap.scores(model)
        names = [swap.property for swap in self.swap.swaps]
        found = measure_swaps(scores, names, self._swapped, self._draws)
        return self.encoder(model) | found | self.places(model)

    def places(self, model: Model) -> dict[str, Measured]:
        """Measures where the weights lie, as `measure_places`."""
        aurocs = self.localisation.by_protein(model, baselines=self._baselines)
        clusters = {name: self._places(self.localisation.accessions(name)) for name in LOCALISED}
        return measure_places(aurocs, clusters, self._draws)

    def judge(self) -> dict[str, Measured]:
        """Measures `mrr` of the judge, who knows what is planted."""
        return {
            "mrr": self._mean(
                self.retrieval.judged_ranks(), self._places(self.retrieval.accessions)
            )
        }

    def _mean(self, values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"]) -> Measured:
        return clustered_mean(values, clusters, self._draws)


def clustered_mean(
    values: Float[np.ndarray, " N"], clusters: Int[np.ndarray, " N"], draws: Int[np.ndarray, "B C"]
) -> Measured:
    """The mean of one value per protein."""
    return Measured(float(values.mean()), replicate_means(values, clusters, draws))


def measure_swaps(
    scores: Float[np.ndarray, " S"],
    properties: Sequence[str],
    clusters: Int[np.ndarray, " S"],
    draws: Int[np.ndarray, "B C"],
) -> dict[str, Measured]:
    """`swap`, the mean score over all proteins with two places, and `swap_PROPERTY`."""
    found = {"swap": clustered_mean(scores, clusters, draws)} if len(scores) else {}
    names = np.array(properties)
    for name in PROPERTIES:
        if (of := names == name).any():
            found[f"swap_{name}"] = clustered_mean(scores[of], clusters[of], draws)
    return found


def measure_places(
    aurocs: Mapping[str, Mapping[str, Float[np.ndarray, " _"]]],
    clusters: Mapping[str, Int[np.ndarray, " _"]],
    draws: Int[np.ndarray, "B C"],
) -> dict[str, Measured]:
    """Where the weights lie: the mean AUROC of weights on annotated residues.

    `place_PROPERTY` is the AUROC, `place_PROPERTY_over_CONTROL` its difference to a control's.

    Args:
      aurocs: `own` or a control → property → proteins, as `SegmentLocalisation.by_protein`.
      clusters: property → the cluster of each protein.
    """
    controls = {name: by_property for name, by_property in aurocs.items() if name != "own"}
    found = {}
    for name in LOCALISED:
        own = aurocs["own"][name]
        if len(own):
            found[f"place_{name}"] = clustered_mean(own, clusters[name], draws)
        for control, by_property in controls.items():
            difference = own - by_property.get(name, np.nan)
            if (known := np.isfinite(difference)).any():
                found[f"place_{name}_over_{control}"] = clustered_mean(
                    difference[known], clusters[name][known], draws
                )
    return found
