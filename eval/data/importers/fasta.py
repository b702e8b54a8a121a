"""Reads FASTA records with their whole headers."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from data_pipelines.readers.fasta import read_fasta
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.numbered_lines import decoded, numbered_lines
from eval.data.base.gathered import Gathered


class Record(NamedTuple):
    """A FASTA record."""

    line: int
    header: str
    """Without `>` and surrounding blanks."""
    text: str
    """The letters as written."""


def records(path: Path, gathered: Gathered) -> Iterator[Record]:
    """Yields the records in the file's order, without overlong ones; records the file as a source.

    Raises:
      UserError: as `data_pipelines.readers.fasta.read_fasta`.
    """
    count = 0
    for item, header in zip(read_fasta(path), _headers(path), strict=True):
        count += 1
        if item.fault:
            gathered.reject(path, item.line, item.id, item.fault)
        else:
            yield Record(item.line, header, item.text)
    gathered.source(path, count)


def _headers(path: Path) -> Iterator[str]:
    with open_bytes(path) as content:
        for number, line in numbered_lines(content, path):
            if line.lstrip().startswith(b">"):
                yield decoded(line.strip()[1:].strip(), number, path)
