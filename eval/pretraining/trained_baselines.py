"""Baselines trained on the same dataset as a checkpoint, each when it is first needed."""

import dataclasses
import functools
import operator
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool

from data_pipelines.common.errors import UserError
from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import HELD_OUT, VALIDATION, split_name
from data_pipelines.protanno.dataset import MissingSplit, ProtAnno
from data_pipelines.protanno.features import annotated_residues
from data_pipelines.protanno.record import Record
from data_pipelines.training.sampling import Sampler
from eval.baselines.kmer_transfer import read_references, reference_records
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
from eval.baselines.residue_tagger import HALF_WINDOWS, Tagger, fit_tagger
from eval.metrics.statistics import auroc
from eval.pretraining.pool import Pool, TooFewTexts, fixed_pool
from eval.pretraining.training_labels import TrainingLabels, read_training_labels
from protclip_jax.training.mixture import training_sampler

MAX_RECORDS = 50_000
"""The number of records that a baseline is trained on: the first ones drawn."""
PASSES, MIN_STEPS, MAX_STEPS = 10, 100, 1000
"""Passes over the records, unless the step limits apply."""
MIN_BATCH, MAX_BATCH, MIN_BATCHES = 16, 512, 8
"""A batch is an eighth of the records within these bounds."""
LEARNING_RATES = (0.003, 0.01, 0.03)
VALIDATION_POOL = 512
MAX_ANNOTATED = 5_000
"""Annotated records per split that a tagger reads."""


class Budget(NamedTuple):
    """How long a linear model trains, whatever its data."""

    steps: int
    batch: int


class Linear(NamedTuple):
    """A trained linear model and the facts that reports give about it."""

    model: LinearModel
    records: int
    """The number of training records."""
    learning_rate: float
    validation_mrr: float


@dataclasses.dataclass(frozen=True)
class TrainedBaselines:
    """Baselines for a checkpoint.

    Attributes:
      dataset: its training splits are learnt from, its validation split is used for choices.
      config: of the checkpoint, completed: the same draws, the same subsets of properties.
      untrained: the checkpoint's network with random weights, as an `Encoder`; None leaves it out.
      budget: of the linear model; None lets it grow with the number of distinct records drawn,
      which would favour the larger of two sets.
      hits: files of hits of held-out to training proteins (`data_pipelines.readers.hits`), by the
      searches' names in reports.
    """

    dataset: ProtAnno
    config: Mapping
    hits: Mapping[str, Path] = dataclasses.field(default_factory=dict)
    untrained: Any = None
    budget: Budget | None = None

    @functools.cached_property
    def linear(self) -> Linear | None:
        """The linear model with the best learning rate and stopping point on validation.

        Tries `LEARNING_RATES`; None if there is nothing to learn from.
        """
        try:
            sampler = training_sampler(_with_text(self.config), self.dataset)
            pool = fixed_pool(self.dataset, split=VALIDATION, size=VALIDATION_POOL)
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
    def references(self) -> list[Record]:
        """The training records that transfer draws on without a file of hits."""
        return reference_records(self.dataset.splits)

    @functools.cached_property
    def validation(self) -> list[Record]:
        """The validation records that transfer is tuned on; none without that split."""
        try:
            return fixed_pool(self.dataset, split=VALIDATION, size=VALIDATION_POOL).records
        except (MissingSplit, TooFewTexts):
            return []

    @functools.cached_property
    def labels(self) -> TrainingLabels:
        """What the training records name."""
        return read_training_labels(self.dataset)

    @functools.cached_property
    def position_guess(self) -> PositionGuess:
        """The most frequent residue by distance to an end, in the k-mer baseline's records."""
        return fit_positions(read_references(self.dataset.splits).sequences)

    @functools.cached_property
    def taggers(self) -> dict[str, Tagger]:
        """A text-free residue tagger for each property with annotated records in both splits.

        Trained on the features of the training split; the window with the best mean AUROC on
        validation is used.
        """
        training = read_annotated(
            self.dataset, [name for name in self.dataset.splits if name not in HELD_OUT]
        )
        validation = read_annotated(
            self.dataset, [VALIDATION] if VALIDATION in self.dataset.splits else []
        )
        names = progress(
            sorted(training.keys() & validation.keys()),
            description="text-free tagger",
            unit="properties",
        )
        return {name: _best_tagger(training[name], validation[name]) for name in names}

    def _trained(
        self, bags: Bags, features: Featurizer, draws: Draws, pool: Pool, rate: float
    ) -> tuple[LinearModel, float]:
        budget = self.budget or budget_of(len(bags.sequence_hashes))
        config = LinearConfig(
            learning_rate=rate,
            batch=budget.batch,
            steps=budget.steps,
            property_subset=self.config["tokenizer"]["property_subset"],
        )
        sequences = [record.sequence for record in pool.records]
        measured = functools.partial(retrieval_mrr, sequences=sequences, texts=pool.texts)
        return train(bags, features, config, draws=draws, measured=measured)


def budget_of(records: int) -> Budget:
    """`PASSES` over the records, within bounds."""
    batch = int(np.clip(records // MIN_BATCHES, MIN_BATCH, MAX_BATCH))
    return Budget(int(np.clip(PASSES * records // batch, MIN_STEPS, MAX_STEPS)), batch)


Annotated = list[tuple[str, Bool[np.ndarray, " _"]]]
"""Sequences and the residues marked by a property's features: some of each, not all."""


def read_annotated(dataset: ProtAnno, names: Iterable[str]) -> dict[str, Annotated]:
    """By property the annotated records of these splits, at most `MAX_ANNOTATED` of each.

    They are evenly spaced.
    """
    found: dict[str, Annotated] = defaultdict(list)
    for split in [dataset.splits[name] for name in names]:
        for place in (
            np.linspace(0, len(split) - 1, min(len(split), MAX_ANNOTATED)).astype(int).tolist()
        ):
            record = split[place]
            for name, residues in annotated_residues(record).items():
                if not residues.all():
                    found[name].append((record.sequence, residues))
    return found


def _best_tagger(training: Annotated, validation: Annotated) -> Tagger:
    """The tagger with the window that works best on the validation proteins."""
    taggers = [fit_tagger(training, half_window) for half_window in HALF_WINDOWS]
    means = []
    for tagger in taggers:
        aurocs = [auroc(tagger.scores(text), marked) for text, marked in validation]
        means.append(np.mean(aurocs))
    return taggers[int(np.argmax(means))]


def _with_text(config: Mapping) -> Mapping:
    """The config without draws of records that have no text."""
    return {**config, "sampling": {**config["sampling"], "without_text": 0.0}}


def drawn_records(dataset: ProtAnno, sampler: Sampler) -> tuple[list[Record], Draws]:
    """The first `MAX_RECORDS` records that a run draws, and endless draws among them.

    Records and draws are in the run's order.
    """
    count = min(MAX_STEPS * MAX_BATCH, 2 * PASSES * sum(sampler.sizes))
    clusters, places = sampler.draws(np.arange(count))
    pairs, first, inverse = np.unique(
        np.stack([clusters, places], axis=1), axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(first)[:MAX_RECORDS]
    splits = [dataset.splits[split_name(name)].without_features() for name in sampler.clusters]
    records = [splits[cluster][place] for cluster, place in pairs[order].tolist()]
    row_of = np.full(len(pairs), -1)
    row_of[order] = np.arange(len(order))
    rows = row_of[inverse.ravel()]
    rows = rows[rows >= 0]
    return records, lambda draws: rows[draws % len(rows)]
