"""Reads the protein whose variants are judged."""

from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines


def read_reference(path: Path, gathered: Gathered) -> str:
    """Reads the single sequence of a FASTA file, or of a file with only a sequence.

    Raises:
      UserError: the file holds several sequences or none.
    """
    numbered = [(line, text.strip()) for line, text in lines(path)]
    headers = [text for _, text in numbered if text.startswith(">")]
    text = "".join(text for _, text in numbered if not text.startswith(">"))
    sequence = gathered.sequence(path, 1, "wild type", text)
    if sequence is None or len(headers) > 1:
        raise UserError(
            f"{path} holds {len(headers)} FASTA records; expected only the wild type's sequence."
        )
    gathered.source(path, 1)
    return sequence
