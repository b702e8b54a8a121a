"""The baselines that are trained on a dataset as a checkpoint was, each when it is first asked for."""

import dataclasses
import functools
import operator
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import VALIDATION, split_name
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.record import Record
from data_pipelines.training.sampling import Sampler
from eval.baselines.kmer_transfer import read_references
from eval.baselines.linear_model import (
    Bags,
    Draws,
    Featurizer,
    LinearConfig,
    LinearModel,
    bags_of,
    fit_features,
    retrieval_mrr,
    train,
)
from eval.baselines.position_guess import PositionGuess, fit_positions
from eval.pretraining.pool import Pool, fixed_pool
from protclip_jax.training.mixture import training_sampler

MAX_RECORDS = 50_000
"""That a baseline is trained on: the first ones that are drawn."""
PASSES, MIN_STEPS, MAX_STEPS = 10, 200, 1000
"""Over the records, unless these are fewer or more steps."""
LEARNING_RATES = (0.003, 0.01, 0.03)
VALIDATION_POOL = 512


class Linear(NamedTuple):
    """A trained linear model, and what a report says of it."""

    model: LinearModel
    records: int
    """That it was trained on."""
    learning_rate: float
    validation_mrr: float


@dataclasses.dataclass(frozen=True)
class TrainedBaselines:
    """Baselines for a checkpoint.

    Attributes:
      dataset: whose training splits they learn, and whose validation split their choices are made on.
      config: of the checkpoint, completed: the same draws, the same subsets of properties.
    """

    dataset: ProtAnno
    config: Mapping

    @functools.cached_property
    def linear(self) -> Linear | None:
        """The best of `LEARNING_RATES` and of their evaluations on validation; None where there is nothing to learn from."""
        try:
            sampler = training_sampler(self.config, self.dataset)
            pool = fixed_pool(self.dataset.splits, split=VALIDATION, size=VALIDATION_POOL, text_key=self.dataset.text_key)
        except UserError:
            return None
        records, draws = drawn_records(self.dataset, sampler)
        features = fit_features(records, LinearConfig().lengths)
        bags = bags_of(records, features)
        rates = progress(LEARNING_RATES, description="linear baseline", unit="learning rates")
        found = [(rate, *self._trained(bags, features, draws, pool, rate)) for rate in rates]
        rate, model, measure = max(found, key=operator.itemgetter(2))
        return Linear(model, len(records), rate, measure)

    @functools.cached_property
    def position_guess(self) -> PositionGuess:
        """The most frequent residue by its distance to an end, in the training records that the k-mer baseline reads."""
        return fit_positions(read_references(self.dataset.splits).sequences)

    def _trained(self, bags: Bags, features: Featurizer, draws: Draws, pool: Pool, rate: float) -> tuple[LinearModel, float]:
        default = LinearConfig()
        steps = int(np.clip(PASSES * len(bags.sequence_hashes) // default.batch, MIN_STEPS, MAX_STEPS))
        config = LinearConfig(learning_rate=rate, steps=steps, property_subset=self.config["tokenizer"]["property_subset"])
        sequences = [record.sequence for record in pool.records]
        measured = functools.partial(retrieval_mrr, sequences=sequences, texts=pool.texts)
        return train(bags, features, config, draws=draws, measured=measured)


def drawn_records(dataset: ProtAnno, sampler: Sampler) -> tuple[list[Record], Draws]:
    """The first `MAX_RECORDS` records that a run draws, in that order, and the run's draws among them, again and again."""
    clusters, places = sampler.draws(np.arange(MAX_STEPS * LinearConfig().batch))
    pairs, first, inverse = np.unique(np.stack([clusters, places], axis=1), axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)[:MAX_RECORDS]
    splits = [dataset.splits[split_name(name)].without_features() for name in sampler.clusters]
    records = [splits[cluster][place] for cluster, place in pairs[order].tolist()]
    row_of = np.full(len(pairs), -1)
    row_of[order] = np.arange(len(order))
    rows = row_of[inverse.ravel()]
    rows = rows[rows >= 0]
    return records, lambda draws: rows[draws % len(rows)]
