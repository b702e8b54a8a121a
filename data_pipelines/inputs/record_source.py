"""UniProt entries and ProtAnno datasets as model input: proteins with their full records."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from data_pipelines.inputs.model_input import Prepared
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import Record
from data_pipelines.readers import Entry, Reject, read_entries


@dataclasses.dataclass(frozen=True, kw_only=True)
class RecordSource:
    """The records of a UniProt file or a dataset folder, readable any number of times.

    Attributes:
      splits: the splits of a dataset to read; None reads all.
    """

    path: Path
    splits: tuple[str, ...] | None = None
    modality = "protein"

    def entries(self) -> Iterator[Entry]:
        """Yields records, and rejects with their reason; raises UserError like the readers."""
        if not self.path.is_dir():
            yield from read_entries(self.path)
            return
        for split in self._splits():
            yield from split

    def _splits(self) -> list[Sequence[Record]]:
        # Imported late: TFDS takes a second to import, and inference does not need it.
        from data_pipelines.protanno.dataset import open_dataset

        dataset = open_dataset(self.path)
        return [dataset.splits[name] for name in self.splits or sorted(dataset.splits)]

    def count(self) -> int | None:
        """The number of records of a dataset; None for files, where it is not known in advance."""
        return sum(len(split) for split in self._splits()) if self.path.is_dir() else None

    def notes(self) -> list[str]:
        """Always empty, because entries have accessions."""
        return []

    def prepared(self) -> Iterator[Prepared]:
        """Yields every entry in order, with its clean sequence.

        `line` is the entry's number if the input has no lines.
        """
        for ordinal, entry in enumerate(self.entries(), 1):
            if isinstance(entry, Reject):
                yield Prepared(
                    entry.accession or f"entry_{ordinal}",
                    "",
                    entry.line,
                    entry.reason,
                    Counter(),
                    not entry.accession,
                )
            else:
                cleaned = clean_protein(entry.sequence)
                yield Prepared(
                    entry.accession,
                    cleaned.sequence,
                    ordinal,
                    "",
                    cleaned.changes,
                    False,
                    name=entry.name,
                    record=entry,
                    doubt=doubt(cleaned.sequence),
                )
