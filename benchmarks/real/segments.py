"""Do PDA weights lie where UniProt's features mark a protein? On all annotated proteins.

The models are not trained on features (`loss.features` is 0), so proteins of every split are
measured: training has shown the texts of some of them, but no places. The text-free tagger does
learn from features. It is trained in five folds over clusters, and no protein is measured with a
tagger that has learnt from its cluster.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from benchmarks.evidence.intervals import cluster_draws
from benchmarks.evidence.measure import Measured, measure_places, measure_swaps
from benchmarks.real.measure import unique_key
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import print_status, progress
from data_pipelines.protanno.clusters import TEST, VALIDATION
from data_pipelines.protanno.dataset import ProtAnno, Split, Splits, encode_record
from data_pipelines.protanno.record import Record, property_texts
from eval.pretraining.evaluation import Model
from eval.pretraining.segment_localisation import LOCALISED, SegmentLocalisation
from eval.pretraining.segment_swap import SegmentSwap
from eval.pretraining.trained_baselines import TrainedBaselines
from protclip_jax.config.schema import completed

FOLDS = 5
LONGEST = 5_000
"""Longer proteins are left out: the work grows with the square of the length."""
TRAINING = "training"
"""The split of a fold's dataset from which its tagger learns."""


class Fold(NamedTuple):
    """What measures the proteins of one fold.

    Attributes:
      baselines: their taggers learn from the folds that are not measured here.
    """

    localisation: SegmentLocalisation
    swap: SegmentSwap
    baselines: TrainedBaselines


class RealSegments:
    """The annotated proteins of a dataset, in folds, and the draws of their clusters.

    Args:
      dataset: where the records are from.
      folds: from `folds_of`.
      clusters: accession → cluster; a protein without one is its own.
      replicates, seed: of the draws.
    """

    def __init__(
        self,
        dataset: ProtAnno,
        folds: Sequence[Sequence[Record]],
        clusters: Mapping[str, str],
        *,
        replicates: int,
        seed: int,
    ):
        accessions = [record.accession for fold in folds for record in fold]
        own = {accession: clusters.get(accession, accession) for accession in accessions}
        place = {name: number for number, name in enumerate(sorted(set(own.values())))}
        self._cluster = {accession: place[name] for accession, name in own.items()}
        self._draws = cluster_draws(len(place), seed=seed, replicates=replicates)
        self._folds = [evaluations(dataset, folds, number) for number in range(FOLDS)]
        print_status(f"segments: {len(own):,} annotated proteins in {len(place):,} clusters")

    def measure(self, model: Model) -> dict[str, Measured]:
        """Measures `place_PROPERTY`, `place_PROPERTY_over_CONTROL` and `swap_PROPERTY`."""
        aurocs = defaultdict(lambda: defaultdict(list))
        clusters = defaultdict(list)
        scores, properties, swapped = [], [], []
        for fold in progress(self._folds, description="segments", unit="folds"):
            accessions = {name: fold.localisation.accessions(name) for name in LOCALISED}
            by_protein = fold.localisation.by_protein(model, baselines=fold.baselines)
            for control, found in by_protein.items():
                for name in LOCALISED:
                    # A property may be without annotated proteins in the folds a tagger needs.
                    unknown = np.full(len(accessions[name]), np.nan)
                    aurocs[control][name].append(found.get(name, unknown))
            for name in LOCALISED:
                clusters[name] += self._places(accessions[name])
            scores.append(fold.swap.scores(model))
            properties += [one.property for one in fold.swap.swaps]
            swapped += self._places([one.record.accession for one in fold.swap.swaps])
        joined = {}
        for control, found in aurocs.items():
            joined[control] = {name: np.concatenate(parts) for name, parts in found.items()}
        of_property = {name: np.array(own, np.int64) for name, own in clusters.items()}
        places = measure_places(joined, of_property, self._draws)
        moved = np.array(swapped, np.int64)
        return places | measure_swaps(np.concatenate(scores), properties, moved, self._draws)

    def _places(self, accessions: Sequence[str]) -> list[int]:
        return [self._cluster[accession] for accession in accessions]


def folds_of(dataset: ProtAnno, clusters: Mapping[str, str]) -> list[list[Record]]:
    """The records with features and text, of all splits, up to `LONGEST`.

    A cluster is in one fold.
    """
    folds = [[] for _ in range(FOLDS)]
    for _, split in sorted(dataset.splits.items()):
        for record in split:
            if len(record.sequence) > LONGEST:
                continue
            if record.features and property_texts(record):
                cluster = clusters.get(record.accession, record.accession)
                folds[hash64(f"fold {cluster}") % FOLDS].append(record)
    return folds


def evaluations(dataset: ProtAnno, folds: Sequence[Sequence[Record]], number: int) -> Fold:
    """What measures a fold; the same for all models."""
    own = fold_dataset(dataset, folds, number)
    pool = max(2, len(own.splits[TEST]))
    return Fold(
        SegmentLocalisation(own, split=TEST, pool=pool),
        SegmentSwap(own, split=TEST, pool=pool),
        TrainedBaselines(own, completed({})),
    )


def fold_dataset(dataset: ProtAnno, folds: Sequence[Sequence[Record]], number: int) -> ProtAnno:
    """A dataset whose test split is a fold, and its validation split the next one."""
    splits = {TEST: folds[number], VALIDATION: folds[(number + 1) % FOLDS]}
    others = [fold for fold in range(FOLDS) if fold not in (number, (number + 1) % FOLDS)]
    splits[TRAINING] = [record for fold in others for record in folds[fold]]
    encoded = {name: Split(list(map(encode_record, own))) for name, own in splits.items()}
    return dataset._replace(splits=Splits(encoded), text_key=unique_key)
