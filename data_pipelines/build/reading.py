"""Parses batches of raw entries into records; batches are independent and run in any process."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from data_pipelines.build.counts import InputCounts
from data_pipelines.build.group import spilled
from data_pipelines.build.spill import Spilled
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.readers import RawEntry, Reject, parse_entry, raw_entries
from data_pipelines.readers.streams.reading_progress import reading_progress

BATCH_BYTES = 8 << 20
"""Raw text per parsing task; a waiting task holds as much."""


class Parsed(NamedTuple):
    """The result of a batch besides its records: their number, rejects in order, omitted features.

    `doubted` counts records that do not look like proteins, by what they look like.
    """

    records: int
    rejects: list[Reject]
    omitted: Counter
    doubted: Counter

    def entries(self) -> int:
        """The number of entries in the batch."""
        return self.records + len(self.rejects)


def batches(path: Path) -> Iterator[list[RawEntry]]:
    """Yields the raw entries of a file, in order, as lists of about `BATCH_BYTES`."""
    batch, size = [], 0
    for entry in raw_entries(path):
        batch.append(entry)
        size += len(entry.content)
        if size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def parse_batch(batch: Iterable[RawEntry]) -> tuple[list[Spilled], Parsed]:
    """Parses the records of a batch; also returns its other results."""
    records, rejects, omitted, doubted = [], [], Counter(), Counter()
    for raw in batch:
        entry = parse_entry(raw, omitted=omitted)
        if isinstance(entry, Reject):
            rejects.append(entry)
        else:
            records.append(spilled(entry))
            doubted.update(filter(None, [doubt(entry.sequence)]))
    return records, Parsed(len(records), rejects, omitted, doubted)


def take_stock(
    parsed: Iterable[Parsed], *, rejects: Path, inputs: Sequence[Path] = ()
) -> InputCounts:
    """Counts the results of all batches and writes the rejects to a file, in input order.

    Args:
      inputs: the files that the batches are read from, for the progress display.
    """
    reading = InputCounts()
    shown = reading_progress(
        parsed, inputs, description="read", noun="entries", size=Parsed.entries
    )
    with open(rejects, "w", encoding="utf-8") as file:
        for batch in shown:
            reading.records += batch.records
            reading.omitted += batch.omitted
            reading.doubted += batch.doubted
            for reject in batch.rejects:
                reading.reject(reject)
                file.write(json.dumps(dataclasses.asdict(reject), ensure_ascii=False) + "\n")
    return reading
