"""What an importer gathers beside its samples: rows it cannot use, files it has read, letters it
has changed."""

from collections import Counter
from pathlib import Path

from data_pipelines.common.hashing import file_sha256
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from eval.data.base.task import Rejected, SourceFile

EMPTY = "its sequence is empty"
NO_PROTEIN = "its sequence has a character that is no amino-acid letter"


class Gathered:
    """Grows while files are read; a `Task` or graph takes its three lists over."""

    def __init__(self):
        self.rejects: list[Rejected] = []
        self.sources: list[SourceFile] = []
        self._changes = Counter()
        self._doubted = Counter()

    def reject(self, path: Path, line: int, name: str, reason: str) -> None:
        """Notes a row that cannot be used; `reason` in the same words for the same fault."""
        self.rejects.append(Rejected(str(path), line, name, reason))

    def sequence(self, path: Path, line: int, name: str, text: str) -> str | None:
        """The sequence as ESM-2 has tokens for it; None, and a reject, for what is no protein."""
        try:
            sequence, changes = clean_protein(text)
        except ValueError:
            self.reject(path, line, name, NO_PROTEIN if text.strip() else EMPTY)
            return None
        if changes:
            self._changes.update(changes)
        self._doubted.update(filter(None, [doubt(sequence)]))
        return sequence

    def source(self, path: Path, rows: int) -> None:
        """Notes a file that was read to its end."""
        self.sources.append(SourceFile(str(path), path.stat().st_size, file_sha256(path), rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence on every kind of letters that were changed in sequences, and on sequences
        that look like no proteins."""
        changed = [
            f"letters changed in sequences: {count} {kind}"
            for kind, count in sorted(self._changes.items())
        ]
        doubted = [
            f"sequences that look like {what}: {count}"
            for what, count in sorted(self._doubted.items())
        ]
        return (*changed, *doubted)
