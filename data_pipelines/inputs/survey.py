"""The first pass over an input: counts and reports everything before any computation."""

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
    """How a model reads a clean protein or text."""

    tokens: int
    """Number of tokens it reads."""
    is_long: bool
    """Whether the item is longer than the model reads at once."""
    unknown_words: int = 0
    """Number of words missing from its vocabulary."""
    is_unknown: bool = False
    """Whether it knows no word at all."""


Measure = Callable[[str], Measured]

REJECTS_HEADER = ("id", "line", "reason")
UNKNOWN = "have no word in the model's vocabulary"
NOUNS = {"protein": "sequences", "text": "texts"}
FIXES = {
    "protein": "translate them to proteins first",
    "text": "write them in the language of the model's texts",
}
MAX_REJECT_ID = 200
"""Maximum characters of a rejected item's id in the list; its line number identifies it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Survey:
    """Counts of an input.

    Attributes:
      items: all items; `rejected` ones cannot be used.
      tokens: tokens that the model will read.
      changed: items that were changed, by kind of change.
      doubted: usable items that do not look like proteins, or have only unknown words, by reason.
      unknown_words: words of all texts that the vocabulary lacks.
      long: items longer than the model reads at once.
      nameless: items without an id.
      notes: lines on how the input was read.
      id_hashes: `hash64` of every item's id, for `UniqueIds`.
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
        """The number of items that are not rejected."""
        return self.items - self.rejected

    def describe(self, noun: str, *, long_items: str, rejects: Path) -> list[str]:
        """Formats lines for the user.

        Args:
          long_items: what happens to long items.
          rejects: the file that lists the rejected items.
        """
        plural = "" if self.usable == 1 else "s"
        lines = [f"{self.usable:,} {noun}{plural}, {self.tokens:,} tokens.", *self.notes]
        for change, count in sorted(self.changed.items()):
            lines.append(f"cleaned: {count:,} with {change}.")
        lines += [f"doubtful: {count:,} {what}." for what, count in sorted(self.doubted.items())]
        if self.unknown_words:
            lines.append(f"words: {self.unknown_words:,} are not in the model's vocabulary.")
        if self.long:
            lines.append(f"long: {self.long:,} {long_items}.")
        if duplicates := UniqueIds(self.id_hashes).duplicates:
            lines.append(f"ids: {duplicates:,} are duplicates and get the suffixes _2, _3, ….")
        if self.nameless:
            lines.append(f"ids: {self.nameless:,} are empty; the items are named by position.")
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
    """Reads the whole input once and lists rejected items in a TSV.

    Memory use is constant except for eight bytes per item.

    Raises:
      UserError: the input cannot be read, has no usable items, or, unless `accept_doubtful`, most
        items do not look like proteins.
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
        message = (
            f"; the first one, {first.id} in line {first.line}: {first.fault}" if first else ""
        )
        raise UserError(f"{source.path} has no usable {source.modality}s{message}.")
    if (most := commonest_of_most(doubted, items - rejected)) and not accept_doubtful:
        what, count = most
        raise UserError(
            f"{source.path}: {count:,} of {items - rejected:,} {NOUNS[source.modality]} {what}; "
            f"{FIXES[source.modality]}, or pass --accept_doubtful to read them anyway."
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
