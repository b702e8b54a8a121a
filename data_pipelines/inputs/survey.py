"""The first pass over a user's input: everything is counted and told before anything is
computed."""

import array
import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import UInt64

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import progress
from data_pipelines.common.tables import TableWriter
from data_pipelines.common.unique_ids import UniqueIds
from data_pipelines.inputs.model_input import Prepared, Source
from data_pipelines.inputs.plausibility import commonest_of_most
from data_pipelines.readers.streams.reading_progress import reading_progress


class Measured(NamedTuple):
    """What a model makes of a clean protein or text."""

    tokens: int
    """That it reads."""
    is_long: bool
    """Whether the item is longer than the model reads at once."""
    unknown_words: int = 0
    """That its vocabulary lacks."""
    is_unknown: bool = False
    """Whether it knows no word at all."""


Measure = Callable[[str], Measured]

REJECTS_HEADER = ("id", "line", "reason")
UNKNOWN = "have no word that is in the model's vocabulary"
NOUNS = {"protein": "sequences", "text": "texts"}
FIXES = {
    "protein": "translate them to proteins first",
    "text": "write them in the language of the model's texts",
}
MAX_REJECT_ID = 200
"""Characters of a rejected item's id in the list; its line tells the rest."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """What an input holds.

    Attributes:
      items: all of them; `rejected` cannot be used.
      tokens: that the model will read.
      changed: items in which something was changed, by the kind of change.
      doubted: usable items that look like something else than proteins, or are of unknown words, by
        what is odd.
      unknown_words: of all texts, those that the vocabulary lacks.
      long: items that are longer than the model reads at once.
      nameless: items without an id.
      notes: lines on how the input was read.
      id_hashes: `hash64` of every item's id, as `UniqueIds` takes them.
    """

    items: int
    rejected: int
    tokens: int
    changed: Counter
    doubted: Counter
    unknown_words: int
    long: int
    nameless: int
    notes: tuple[str, ...]
    id_hashes: UInt64[np.ndarray, " n"]

    @property
    def usable(self) -> int:
        """Items that are not rejected."""
        return self.items - self.rejected

    def describe(self, noun: str, *, long_items: str, rejects: Path) -> list[str]:
        """Lines for the user. `long_items` says what becomes of the long ones, `rejects` where
        the rejected are listed."""
        plural = "" if self.usable == 1 else "s"
        lines = [f"{self.usable:,} {noun}{plural}, {self.tokens:,} tokens.", *self.notes]
        lines += [
            f"cleaned: {count:,} with {change}." for change, count in sorted(self.changed.items())
        ]
        lines += [f"doubtful: {count:,} {what}." for what, count in sorted(self.doubted.items())]
        if self.unknown_words:
            lines.append(f"words: {self.unknown_words:,} are not in the model's vocabulary.")
        if self.long:
            lines.append(f"long: {self.long:,} {long_items}.")
        if duplicates := UniqueIds(self.id_hashes).duplicates:
            lines.append(f"ids: {duplicates:,} occur again and get the endings _2, _3, ….")
        if self.nameless:
            lines.append(f"ids: {self.nameless:,} are empty and named by their place in the input.")
        if self.rejected:
            lines.append(
                f"rejected: {self.rejected:,} of {self.items:,}, listed with line and reason "
                f"in {rejects}."
            )
        return lines


def _shown(source: Source) -> Iterator[Prepared]:
    noun = f"{source.modality}s"
    if (total := source.count()) is not None:
        return iter(progress(source.prepared(), description="check", unit=noun, total=total))
    return reading_progress(source.prepared(), [source.path], description="check", noun=noun)


def take_survey(
    source: Source, *, measure: Measure, rejects: Path, accept_doubtful: bool = False
) -> Survey:
    """Reads the whole input once, in constant memory but for eight bytes an item, and lists what is
    rejected in a TSV.

    Raises:
      UserError: the input cannot be read, no item of it can be used, or, unless `accept_doubtful`,
        most items look like something else than proteins.
    """
    items, rejected, tokens, long, nameless, unknown_words = 0, 0, 0, 0, 0, 0
    changed, doubted, hashes = Counter(), Counter(), array.array("Q")
    first = None
    with open(rejects, "w", encoding="utf-8", newline="") as file:
        table = TableWriter(file)
        table.writerow(REJECTS_HEADER)
        for item in _shown(source):
            hashes.append(hash64(item.id))
            items += 1
            nameless += item.nameless
            changed.update(item.changes.keys())
            if item.fault:
                first = first or item
                rejected += 1
                table.writerow((item.id[:MAX_REJECT_ID], item.line, item.fault))
            else:
                measured = measure(item.text)
                tokens += measured.tokens
                long += measured.is_long
                unknown_words += measured.unknown_words
                doubted.update([f"look like {item.doubt}"] if item.doubt else [])
                doubted.update([UNKNOWN] if measured.is_unknown else [])
    if rejected == items:
        message = f"; the first: {first.id} in line {first.line}: {first.fault}" if first else ""
        raise UserError(f"{source.path} holds no {source.modality} that can be embedded{message}.")
    if (most := commonest_of_most(doubted, items - rejected)) and not accept_doubtful:
        what, count = most
        raise UserError(
            f"{source.path}: {count:,} of {items - rejected:,} {NOUNS[source.modality]} "
            f"{what}; {FIXES[source.modality]}, "
            "or pass --accept_doubtful to read them as they are."
        )
    return Survey(
        items=items,
        rejected=rejected,
        tokens=tokens,
        changed=changed,
        doubted=doubted,
        unknown_words=unknown_words,
        long=long,
        nameless=nameless,
        notes=tuple(source.notes()),
        id_hashes=np.array(hashes, np.uint64),
    )
