"""A benchmark of single proteins as a protocol gets it: three splits, targets as arrays, and the
metric to stop by."""

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
"""(outputs, targets as `heads.Kind.encode` gives them) -> a number, the larger the better; NaN
where it is undefined."""

Features = Callable[[Sequence[str]], Float32[np.ndarray, "n D"]]
"""A model's embeddings, as `embedding_cache.CachedEmbedder` gives them, or one of
`sequence_features`."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """What is to be learnt from which proteins."""

    name: str
    """Also of the folder where a long run keeps its states."""
    kind: str
    """One of `heads.KINDS`."""
    classes: int
    splits: Mapping[str, list[Sample]]
    """train, valid and test, none of them empty."""
    score: Score
    """What early stopping and the choice of hyper-parameters look at, on the validation split."""

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
        """How many numbers a head gives for each protein."""
        return KINDS[self.kind].outputs(self.classes)

    def with_shuffled_labels(self, seed: int = 0) -> "Problem":
        """The same problem with the targets of training and validation dealt out at random
        within each split."""
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
    """What a protocol predicts, by as many models as it has seeds."""

    outputs: dict[str, Float32[np.ndarray, "seeds n C"]]
    """Of valid and test: logits, or numbers in the unit of a regression."""
    facts: dict
    """For the report: epochs, steps, FLOPs, …; fit for JSON."""


class FittingProtocol(Protocol):
    """A way to learn a problem: frozen probe, fine-tuning, or a baseline."""

    name: str

    def __call__(self, problem: Problem) -> Fitted:
        """Trains on train, chooses on valid, predicts valid and test."""


def best_epoch(history: Float[np.ndarray, " epochs"]) -> int:
    """The epoch of the highest score, the later of equals; undefined scores count as the lowest."""
    scores = np.where(np.isnan(history), -np.inf, history)
    return int(len(scores) - 1 - np.argmax(scores[::-1]))


class Prepared(NamedTuple):
    """The three splits of a task, and what was done to get them."""

    splits: dict[str, list[Sample]]
    facts: dict
    """`sizes`, `carved` (split → what it was made from), `leaks` and `removed` (counts of rows),
    `notes` in sentences."""


def prepare_splits(
    task: Task, *, valid_fraction: float, test_fraction: float, remove_leaks: bool
) -> Prepared:
    """Train, valid and test of a task. A split that the data lack is carved out of train by the
    hash of the sequence.

    So all rows of a sequence come to one side, and the same ones on every machine. Rows of train
    and valid whose sequence is in test, and those of train whose sequence is in valid, are counted,
    and removed if `remove_leaks` says so; test stays.

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
                "sequences, chosen by their hash, "
                f"were set aside as such ({len(splits[name])} rows)."
            )
    held = {name: {sample.sequence for sample in splits[name]} for name in ("valid", "test")}
    leaks = {f"{name} in {other}": _count(splits[name], held[other]) for name, other in _LEAKS}
    removed = dict.fromkeys(leaks, 0)
    for name, other in _LEAKS if remove_leaks else ():
        removed[f"{name} in {other}"] = _count(splits[name], held[other])
        splits[name] = [sample for sample in splits[name] if sample.sequence not in held[other]]
    for pair, count in leaks.items():
        if count:
            notes.append(
                f"{count} rows of {pair} by their sequence; {removed[pair] or 'none'} of "
                "them were removed."
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
    """(set aside, kept) rows: the given share of the distinct sequences is set aside, at least
    one, those of lowest hash."""
    distinct = sorted(
        {sample.sequence for sample in samples}, key=lambda sequence: hash64(f"{salt} {sequence}")
    )
    chosen = set(distinct[: max(1, round(fraction * len(distinct)))])
    return [s for s in samples if s.sequence in chosen], [
        s for s in samples if s.sequence not in chosen
    ]
