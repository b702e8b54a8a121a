"""Whether a protein was in a checkpoint's pretraining data: itself, a relative, or neither.

Relatives are proteins that MinHash finds, at about 65 % identity and above
(`data_pipelines.build.minhash`).
"""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Self

import numpy as np
from jaxtyping import Bool, Shaped, UInt16, UInt64

from data_pipelines.build import minhash
from data_pipelines.build.exclude import sequence_key
from data_pipelines.build.overlap import have_relatives
from data_pipelines.common.progress import progress
from data_pipelines.protanno.clusters import HELD_OUT
from data_pipelines.protanno.dataset import ProtAnno

SEEN, RELATED, UNSEEN = "seen", "related", "unseen"
_AT_ONCE = 1 << 12


@dataclasses.dataclass(frozen=True)
class PretrainingSet:
    """The training proteins of a dataset.

    Attributes:
      keys: `sequence_key` of each, ascending.
      sketches: its MinHash sketch.
    """

    keys: UInt64[np.ndarray, " n"]
    sketches: UInt16[np.ndarray, "n hashes"]

    @classmethod
    def of(cls, dataset: ProtAnno) -> Self:
        """Reads every training record once; needs 256 bytes of memory for each."""
        keys, sketches = [], []
        names = [name for name in sorted(dataset.splits) if name not in HELD_OUT]
        for split in progress(
            [dataset.splits[name] for name in names], description="pretraining set", unit="splits"
        ):
            quick = split.without_features()
            for start in range(0, len(quick), _AT_ONCE):
                part = [
                    quick[index].sequence
                    for index in range(start, min(start + _AT_ONCE, len(quick)))
                ]
                keys += map(sequence_key, part)
                sketches.append(minhash.sketches(part))
        stacked = np.concatenate([minhash.sketches([]), *sketches])
        return cls(np.sort(np.array(keys, np.uint64)), stacked)

    def states(self, sequences: Sequence[str]) -> Shaped[np.ndarray, " m"]:
        """Classifies each sequence as `SEEN`, `RELATED` or `UNSEEN`."""
        keys = np.array([sequence_key(sequence) for sequence in sequences], np.uint64)
        found = np.where(
            have_relatives(minhash.sketches(list(sequences)), self.sketches), RELATED, UNSEEN
        )
        found[np.isin(keys, self.keys)] = SEEN
        return found


def counted(states: Shaped[np.ndarray, " m"]) -> dict[str, int]:
    """Counts proteins by state."""
    counts = Counter(states.tolist())
    return {state: counts[state] for state in (SEEN, RELATED, UNSEEN)}


def kept_rows(states: Shaped[np.ndarray, " m"]) -> Bool[np.ndarray, " m"]:
    """The rows that a headline counts: the unseen ones, or all rows if none is unseen."""
    unseen = states != SEEN
    return unseen if unseen.any() else np.ones(len(states), bool)


def sentence(counts: dict[str, int], *, left_out: bool) -> str:
    """The sentence about the counts in reports."""
    text = (
        f"{counts[SEEN]} of {sum(counts.values())} test proteins were in pretraining, "
        f"{counts[RELATED]} are related to some"
    )
    if not counts[SEEN]:
        return f"{text}."
    if left_out:
        return (
            f"{text}; the numbers exclude those that were in pretraining and are followed by the "
            "number over all proteins."
        )
    return f"{text}; the numbers include them."
