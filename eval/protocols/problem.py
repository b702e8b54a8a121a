"""A benchmark of single proteins as protocols see it: splits, targets as arrays, and a metric.

The metric decides when training stops.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import numpy as np
from jaxtyping import Float, Float32

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from eval.data.base.task import SPLITS, Sample, Task
from eval.protocols.heads import KINDS

Score = Callable[[Float32[np.ndarray, "n C"], np.ndarray], float]
"""(outputs, encoded targets) -> a number, the larger the better; NaN if undefined."""

Features = Callable[[Sequence[str]], Float32[np.ndarray, "n D"]]
"""A model's embeddings, as `embedding_cache.CachedEmbedder` gives them, or `sequence_features`."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """A task to learn: proteins, targets, and a validation score."""

    name: str
    """Also the name of the folder where a long run keeps its states."""
    kind: str
    """One of `heads.KINDS`."""
    classes: int
    splits: Mapping[str, list[Sample]]
    """train, valid and test, none of them empty."""
    score: Score
    """The score on the validation split for early stopping and hyper-parameters."""

    def sequences(self, split: str) -> list[str]:
        """The sequences of a split."""
        return [sample.sequence for sample in self.splits[split]]

    def targets(self, split: str) -> np.ndarray:
        """The targets of a split as an array."""
        return KINDS[self.kind].encode(
            [sample.target for sample in self.splits[split]], self.classes
        )

    @property
    def outputs(self) -> int:
        """The number of a head's outputs per protein."""
        return KINDS[self.kind].outputs(self.classes)

    def with_shuffled_labels(self, seed: int = 0) -> "Problem":
        """The same problem with training and validation targets shuffled within each split."""
        rng = np.random.default_rng(seed)

        def shuffled(samples: list[Sample]) -> list[Sample]:
            order = rng.permutation(len(samples))
            return [
                dataclasses.replace(sample, target=samples[i].target)
                for sample, i in zip(samples, order, strict=True)
            ]

        splits = {name: shuffled(self.splits[name]) for name in ("train", "valid")} | {
            "test": self.splits["test"]
        }
        return dataclasses.replace(self, name=f"{self.name}-shuffled", splits=splits)


class Fitted(NamedTuple):
    """A protocol's predictions, one model per seed."""

    outputs: dict[str, Float32[np.ndarray, "seeds n C"]]
    """For valid and test: logits, or numbers in the unit of a regression."""
    facts: dict
    """For the report: epochs, steps, FLOPs, …; JSON values."""


class FittingProtocol(Protocol):
    """A way to learn a problem: frozen probe, fine-tuning, or a baseline."""

    name: str

    def __call__(self, problem: Problem) -> Fitted:
        """Trains on train, chooses on valid, predicts valid and test."""


def best_epoch(history: Float[np.ndarray, " epochs"]) -> int:
    """The epoch with the highest score, the later of equals; undefined scores are the lowest."""
    scores = np.where(np.isnan(history), -np.inf, history)
    return int(len(scores) - 1 - np.argmax(scores[::-1]))


class Prepared(NamedTuple):
    """The three splits of a task, and how they were made."""

    splits: dict[str, list[Sample]]
    facts: dict
    """Facts: `sizes`, `carved`, `leaks`, `removed` and `notes`.

    `carved` maps a split to what it was made from, `leaks` and `removed` count rows, `notes` are
    sentences.
    """


def prepare_splits(
    task: Task, *, valid_fraction: float, test_fraction: float, remove_leaks: bool
) -> Prepared:
    """Makes train, valid and test of a task; carves a missing split out of train.

    Carving goes by the hash of the sequence, so all rows of a sequence fall on one side, the same
    on every machine. Rows of train and valid whose sequence is in test, and rows of train whose
    sequence is in valid, are counted, and removed if `remove_leaks` says so; test is unchanged.

    Raises:
      UserError: there is nothing to train on, or a split is left empty.
    """
    splits = {name: list(task.splits.get(name, [])) for name in SPLITS}
    carved, notes = {}, []
    for name, fraction in (("test", test_fraction), ("valid", valid_fraction)):
        if not splits[name]:
            splits[name], splits["train"] = _carve(splits["train"], fraction, salt=name)
            carved[name] = {"from": "train", "fraction": fraction, "rows": len(splits[name])}
            notes.append(
                f"The data have no {name} split; {fraction:.0%} of the distinct training "
                f"sequences, chosen by their hash, were set aside for it ({len(splits[name])} "
                "rows)."
            )
    held = {}
    for name in ("valid", "test"):
        held[name] = {sample.sequence for sample in splits[name]}
    leaks = {f"{name} in {other}": _count(splits[name], held[other]) for name, other in _LEAKS}
    removed = dict.fromkeys(leaks, 0)
    for name, other in _LEAKS if remove_leaks else ():
        removed[f"{name} in {other}"] = _count(splits[name], held[other])
        splits[name] = [sample for sample in splits[name] if sample.sequence not in held[other]]
    for pair, count in leaks.items():
        if count:
            notes.append(
                f"{count} rows of {pair} share a sequence; {removed[pair] or 'none'} of them were "
                "removed."
            )
    if empty := [name for name, samples in splits.items() if not samples]:
        raise UserError(
            f"{task.name} has no rows for {', '.join(empty)}; name more data for it in the "
            "manifest."
        )
    sizes = {name: len(samples) for name, samples in splits.items()}
    return Prepared(
        splits,
        {"sizes": sizes, "carved": carved, "leaks": leaks, "removed": removed, "notes": notes},
    )


_LEAKS = (("train", "test"), ("valid", "test"), ("train", "valid"))


def _count(samples: list[Sample], sequences: set[str]) -> int:
    return sum(sample.sequence in sequences for sample in samples)


def _carve(
    samples: list[Sample], fraction: float, *, salt: str
) -> tuple[list[Sample], list[Sample]]:
    """(set aside, kept) rows: the share of distinct sequences with the lowest hashes is set aside.

    At least one sequence is.
    """
    distinct = sorted(
        {sample.sequence for sample in samples}, key=lambda sequence: hash64(f"{salt} {sequence}")
    )
    chosen = set(distinct[: max(1, round(fraction * len(distinct)))])
    aside = [s for s in samples if s.sequence in chosen]
    kept = [s for s in samples if s.sequence not in chosen]
    return aside, kept
