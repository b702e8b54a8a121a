"""The fixed pool of records of an evaluation, and the seeds of its random choices."""

from collections.abc import Hashable
from typing import NamedTuple

import numpy as np

from data_pipelines.common.errors import UserError
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import progress
from data_pipelines.protanno.dataset import ProtAnno
from data_pipelines.protanno.record import Record, biotext


class TooFewTexts(UserError):
    """A split has fewer than two distinct biotexts."""


class Pool(NamedTuple):
    """Records with distinct biotexts.

    `requested` may exceed their number; `split_records` is the size of the split.
    """

    records: list[Record]
    texts: list[str]
    split: str
    requested: int
    split_records: int


def fixed_pool(
    dataset: ProtAnno, *, split: str, size: int, max_existence: int | None = None
) -> Pool:
    """Picks the first `size` records with distinct biotexts, by their accessions' hashes.

    Records without text are skipped. The choice does not depend on the order of records in the
    dataset; biotexts with the same `text_key` count as equal; if fewer are distinct, all are used.

    Args:
      max_existence: only records whose existence is known and at most this are used: the lower, the
      more certain the protein.

    Raises:
      MissingSplit: no records in the split.
      TooFewTexts: fewer than two distinct biotexts.
      UserError: `size` is below 2.
    """
    if size < 2:
        raise UserError(f"pool={size} is too small for a ranking; use at least 2.")
    source = dataset.splits[split]
    quick = source.without_features()
    indices = progress(range(len(source)), description=f"reading {split}", unit="records")
    order = sorted((hash64(quick[index].accession), index) for index in indices)
    chosen: dict[Hashable, Record] = {}
    for _, index in order:
        record = source[index]
        if max_existence is not None and not 1 <= record.existence <= max_existence:
            continue
        if text := biotext(record):
            chosen.setdefault(dataset.text_key(text), record)
        if len(chosen) == size:
            break
    if len(chosen) < 2:
        limit = "" if max_existence is None else f" of existence 1 to {max_existence}"
        raise TooFewTexts(
            f"the split {split} holds fewer than two distinct biotexts{limit}; build the "
            "dataset with a larger split."
        )
    records = list(chosen.values())
    return Pool(records, list(map(biotext, records)), split, size, len(source))


def record_rng(record: Record, purpose: str) -> np.random.Generator:
    """A generator that depends only on accession and purpose, whatever else is in the pool."""
    return np.random.default_rng(hash64(f"{purpose}/{record.accession}"))
