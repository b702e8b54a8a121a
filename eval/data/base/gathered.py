"""What an importer collects besides samples: unusable rows, files read, and letters changed."""

from collections import Counter
from pathlib import Path

from data_pipelines.common.hashing import file_sha256
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from eval.data.base.task import Rejected, SourceFile

EMPTY = "its sequence is empty"
NO_PROTEIN = "its sequence has a character that is not an amino-acid letter"


class Gathered:
    """Collects rejects, sources and notes while files are read.

    A `Task` or graph takes over the three lists.
    """

    def __init__(self):
        self.rejects: list[Rejected] = []
        self.sources: list[SourceFile] = []
        self._changes = Counter()
        self._doubted = Counter()

    def reject(self, path: Path, line: int, name: str, reason: str) -> None:
        """Records a row that cannot be used; word the `reason` of the same fault alike."""
        self.rejects.append(Rejected(str(path), line, name, reason))

    def sequence(self, path: Path, line: int, name: str, text: str) -> str | None:
        """Normalises a sequence to ESM-2's letters; None, and a reject, if it is not a protein."""
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
        """Records a file that was read to its end."""
        self.sources.append(SourceFile(str(path), path.stat().st_size, file_sha256(path), rows))

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on letters that were changed, and on sequences that do not look like proteins."""
        changed = [
            f"letters changed in sequences: {count} {kind}"
            for kind, count in sorted(self._changes.items())
        ]
        doubted = [
            f"sequences that look like {what}: {count}"
            for what, count in sorted(self._doubted.items())
        ]
        return (*changed, *doubted)
