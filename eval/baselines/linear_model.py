"""The trained linear baseline: maps bags of k-mers and of words into one space by matrices.

It is trained with the network's own global contrast on the network's own draws and texts, so that
what the network has over it is what depth, order and pretraining add. Its choices are made on
the validation split.
"""

import dataclasses
import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Float32, Int, UInt32
from scipy.sparse import csr_array, hstack

from data_pipelines.common.hashing import hash32
from data_pipelines.protanno.record import PROPERTIES, Record, property_texts
from eval.baselines.bags import (
    AMINO_ACIDS,
    counted,
    inverse_document_frequency,
    kmer_ids,
    unit_rows,
    words,
)
from eval.metrics.ranking import best_hit, mean_reciprocal_rank
from protclip_jax.models.logit_scale import MAX_SCALE
from protclip_jax.objectives.global_contrastive import Pairs, global_contrastive

MAX_KMERS = 1 << 15
"""Columns for the k-mers of one length; longer k-mers are hashed into this many."""
MIN_WORD_RECORDS = 2
"""Words of fewer training records are left out."""
LOG_SCALE = float(np.log(1 / 0.07))
"""Where the logarithm of the contrast's scale starts, as the network's does."""
TINY = 1e-12

Draws = Callable[[Int[np.ndarray, " n"]], Int[np.ndarray, " n"]]
"""Draws 0, 1, 2, … → the indices of their records among the training records."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearConfig:
    """How a linear model is trained.

    Attributes:
      lengths: of the k-mers.
      dimensions: of the common space.
      batch: records contrasted with each other in a step.
      property_subset: probability that a record's text is of some of its properties only, as in
        training the network.
    """

    lengths: tuple[int, ...] = (3,)
    dimensions: int = 128
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    batch: int = 512
    steps: int = 600
    property_subset: float = 0.0
    seed: int = 0


class Featurizer(NamedTuple):
    """What turns proteins and texts into rows of numbers.

    Attributes:
      lengths: of the k-mers.
      kmer_weights: inverse document frequency of each column of k-mers.
      vocabulary: word → column.
      word_weights: inverse document frequency of each word.
    """

    lengths: tuple[int, ...]
    kmer_weights: Float[np.ndarray, " F"]
    vocabulary: Mapping[str, int]
    word_weights: Float[np.ndarray, " W"]

    def proteins(self, sequences: Sequence[str]) -> csr_array:
        """Unit rows [N, F]."""
        return unit_rows(kmer_counts(sequences, self.lengths), self.kmer_weights).astype(np.float32)

    def texts(self, texts: Sequence[str]) -> csr_array:
        """Rows [N, W] of counts times weights; words out of the vocabulary are left out."""
        ids = [np.array(list(self._known(text)), np.int64) for text in texts]
        return (
            counted(ids, len(self.vocabulary))
            .multiply(self.word_weights)
            .tocsr()
            .astype(np.float32)
        )

    def _known(self, text: str) -> Iterator[int]:
        return (self.vocabulary[word] for word in words(text) if word in self.vocabulary)


class LinearModel(NamedTuple):
    """A matrix for proteins [F, D] and one for texts [W, D]; encodes like a `Model`."""

    features: Featurizer
    protein: Float32[np.ndarray, "F D"]
    text: Float32[np.ndarray, "W D"]

    def encode_proteins(self, sequences: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Unit-norm embeddings; zeros for a protein without a k-mer."""
        return _unit(self.features.proteins(sequences) @ self.protein)

    def encode_texts(self, texts: Sequence[str]) -> Float32[np.ndarray, "N D"]:
        """Unit-norm embeddings; zeros for a text without a known word."""
        return _unit(self.features.texts(texts) @ self.text)


class Bags(NamedTuple):
    """N training records as bags.

    Attributes:
      proteins: [N, F].
      texts: of each property in the order of `PROPERTIES`, [N, W].
      text_hashes: of each property's text; 0 = absent.
      sequence_hashes: of the whole sequences.
    """

    proteins: csr_array
    texts: tuple[csr_array, ...]
    text_hashes: UInt32[np.ndarray, "N 4"]
    sequence_hashes: UInt32[np.ndarray, " N"]


def kmer_counts(sequences: Sequence[str], lengths: Iterable[int]) -> csr_array:
    """Counts the k-mers of each length side by side, [N, F].

    Lengths with more than `MAX_KMERS` kinds are hashed.
    """
    parts = []
    for length in lengths:
        kinds = len(AMINO_ACIDS) ** length
        size = min(kinds, MAX_KMERS)
        # Fibonacci hashing: neighbours in the numbering of k-mers, which share a prefix, do not
        # share a column.
        factor = 1 if kinds <= size else 2654435761
        ids = [kmer_ids(sequence, length) * factor % (1 << 32) % size for sequence in sequences]
        parts.append(counted(ids, size))
    return hstack(parts, format="csr")


def fit_features(records: Sequence[Record], lengths: tuple[int, ...]) -> Featurizer:
    """The vocabulary and the weights of what training records hold."""
    said = [" ".join(property_texts(record).values()) for record in records]
    frequencies = Counter(itertools.chain.from_iterable(set(words(text)) for text in said))
    kept = sorted(word for word, count in frequencies.items() if count >= MIN_WORD_RECORDS)
    vocabulary = {word: column for column, word in enumerate(kept)}
    kmers = inverse_document_frequency(
        kmer_counts([record.sequence for record in records], lengths)
    )
    plain = Featurizer(lengths, kmers, vocabulary, np.ones(len(vocabulary)))
    return plain._replace(word_weights=inverse_document_frequency(plain.texts(said)))


def bags_of(records: Sequence[Record], features: Featurizer) -> Bags:
    """Records as a featurizer sees them."""
    texts = [property_texts(record) for record in records]
    columns = [_column(texts, name) for name in PROPERTIES]
    hashes = [_hashes(column) for column in columns]
    sequences = [record.sequence for record in records]
    return Bags(
        features.proteins(sequences),
        tuple(map(features.texts, columns)),
        np.array(hashes, np.uint32).T,
        np.array(list(map(hash32, sequences)), np.uint32),
    )


def _column(texts: Sequence[Mapping[str, str]], name: str) -> list[str]:
    return [text.get(name, "") for text in texts]


def _hashes(texts: Sequence[str]) -> list[int]:
    """The hashes of texts, 0 for an empty one."""
    return [hash32(text) if text else 0 for text in texts]


class Step(NamedTuple):
    """The contents of one step's contrast: rows of features, and hashes that mark duplicates."""

    proteins: csr_array
    texts: csr_array
    sequence_hashes: UInt32[np.ndarray, " B"]
    text_hashes: UInt32[np.ndarray, " B"]


def draw_step(
    bags: Bags, rows: Int[np.ndarray, " B"], *, property_subset: float, rng: np.random.Generator
) -> Step:
    """The records at `rows`, each with that probability reduced to some of its properties.

    At least one property stays.
    """
    present = bags.text_hashes[rows] != 0
    shown = np.where(rng.random((len(rows), 1)) < property_subset, _some(present, rng), present)
    # The sum of per-property hashes identifies a text, including which properties are shown.
    hashes = (bags.text_hashes[rows].astype(np.uint64) * _ODD * shown).sum(1).astype(np.uint32)
    parts = [
        table[rows].multiply(shown[:, column, None]) for column, table in enumerate(bags.texts)
    ]
    return Step(
        bags.proteins[rows], sum(parts[1:], parts[0]).tocsr(), bags.sequence_hashes[rows], hashes
    )


_ODD = np.array([1, 3, 5, 7], np.uint64)


def _some(present: Bool[np.ndarray, "B 4"], rng: np.random.Generator) -> Bool[np.ndarray, "B 4"]:
    """Picks some but not all of each row's present properties, uniformly; a single one stays."""
    chosen = present & (rng.random(present.shape) < 0.5)
    count = present.sum(1)
    while (wrong := (count > 1) & ((chosen.sum(1) == 0) | (chosen.sum(1) == count))).any():
        chosen[wrong] = present[wrong] & (rng.random((wrong.sum(), present.shape[1])) < 0.5)
    return np.where((count > 1)[:, None], chosen, present)


class Parameters(NamedTuple):
    """What is trained."""

    protein: Float[Array, "F D"]
    text: Float[Array, "W D"]
    logit_scale: Float[Array, ""]


@jax.jit
def _contrast(
    protein: Float[Array, "B D"],
    text: Float[Array, "B D"],
    logit_scale: Float[Array, ""],
    sequence_hashes: Array,
    text_hashes: Array,
) -> tuple[Float[Array, ""], tuple[Array, Array, Array]]:
    """The loss of projected rows, and its gradients by the three first arguments."""

    def loss(protein, text, logit_scale):
        unit = [
            x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), TINY)
            for x in (protein, text)
        ]
        real = jnp.ones(len(protein), bool)
        pairs = Pairs(*unit, real, sequence_hashes, text_hashes)
        return global_contrastive(
            pairs, pairs, first=0, logit_scale=logit_scale, mask_duplicates=True
        ).value()

    return jax.value_and_grad(loss, argnums=(0, 1, 2))(protein, text, logit_scale)


def loss_and_gradients(parameters: Parameters, step: Step) -> tuple[float, Parameters]:
    """The contrast of a step and its gradients, with SciPy's sparse products.

    The loss is the network's.
    """
    projected = (
        step.proteins @ np.asarray(parameters.protein),
        step.texts @ np.asarray(parameters.text),
    )
    loss, gradients = _contrast(
        *(rows.astype(np.float32) for rows in projected),
        parameters.logit_scale,
        step.sequence_hashes,
        step.text_hashes,
    )
    protein, text = (
        (rows.T @ np.asarray(by_row)).astype(np.float32)
        for rows, by_row in zip((step.proteins, step.texts), gradients[:2], strict=True)
    )
    return float(loss), Parameters(protein, text, gradients[2])


def train(
    bags: Bags,
    features: Featurizer,
    config: LinearConfig,
    *,
    draws: Draws,
    measured: Callable[[LinearModel], float],
    evaluations: int = 6,
) -> tuple[LinearModel, float]:
    """Trains with Adam and a cosine schedule; returns the best evaluated model and its score.

    Args:
      draws: of the records of `bags`.
      measured: on validation; higher is better.
    """
    rng = np.random.default_rng(config.seed)
    sizes = bags.proteins.shape[1], len(features.vocabulary)
    start = [
        rng.normal(0, 1 / np.sqrt(config.dimensions), (size, config.dimensions)).astype(np.float32)
        for size in sizes
    ]
    parameters = Parameters(*start, np.float32(LOG_SCALE))
    schedule = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    optimizer = optax.adamw(schedule, weight_decay=config.weight_decay)
    state = optimizer.init(parameters)
    best, best_measure = None, -np.inf
    at = set(np.linspace(0, config.steps, evaluations + 1).astype(int)[1:].tolist())
    for number in range(config.steps):
        rows = draws(np.arange(number * config.batch, (number + 1) * config.batch))
        step = draw_step(bags, rows, property_subset=config.property_subset, rng=rng)
        _, gradients = loss_and_gradients(parameters, step)
        parameters, state = _updated(optimizer, gradients, state, parameters)
        if number + 1 in at:
            model = LinearModel(
                features, np.asarray(parameters.protein), np.asarray(parameters.text)
            )
            measure = measured(model)
            if measure > best_measure:
                best, best_measure = model, measure
    return best, best_measure


@functools.partial(jax.jit, static_argnums=0)
def _updated(
    optimizer: optax.GradientTransformation,
    gradients: Parameters,
    state: optax.OptState,
    parameters: Parameters,
) -> tuple[Parameters, optax.OptState]:
    """The parameters after a step, the scale at most `MAX_SCALE`, and the optimizer's state."""
    updates, state = optimizer.update(gradients, state, parameters)
    parameters = optax.apply_updates(parameters, updates)
    return parameters._replace(
        logit_scale=jnp.minimum(parameters.logit_scale, np.log(MAX_SCALE))
    ), state


def retrieval_mrr(model: LinearModel, sequences: Sequence[str], texts: Sequence[str]) -> float:
    """MRR among pairs of distinct texts, the mean of both directions: what choices are made by."""
    scores = model.encode_proteins(sequences) @ model.encode_texts(texts).T
    own = np.eye(len(scores), dtype=bool)
    return (
        mean_reciprocal_rank(*best_hit(scores, own))
        + mean_reciprocal_rank(*best_hit(scores.T, own))
    ) / 2


def _unit(rows: Float[np.ndarray, "N D"]) -> Float32[np.ndarray, "N D"]:
    return (rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), TINY)).astype(np.float32)
