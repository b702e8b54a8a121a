"""The protein that variants are of."""

from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines


def read_reference(path: Path, gathered: Gathered) -> str:
    """The one sequence of a FASTA file, or of a file with nothing but a sequence.

    Raises:
      UserError: the file holds several or none.
    """
    numbered = [(line, text.strip()) for line, text in lines(path)]
    headers = [text for _, text in numbered if text.startswith(">")]
    text = "".join(text for _, text in numbered if not text.startswith(">"))
    sequence = gathered.sequence(path, 1, "wild type", text)
    if sequence is None or len(headers) > 1:
        raise UserError(
            f"{path} holds {len(headers)} FASTA records and no one protein; give the wild "
            "type's sequence alone."
        )
    gathered.source(path, 1)
    return sequence
