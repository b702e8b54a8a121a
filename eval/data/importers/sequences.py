"""Reads sequences by name from FASTA, a two-column table, a table with a header, or JSON lines."""

import re
from collections.abc import Callable, Container, Iterator, Sequence
from pathlib import Path

from data_pipelines.common.errors import UserError
from eval.data.base.gathered import Gathered
from eval.data.base.rows import lines, listed, table_header, table_rows
from eval.data.importers.fasta import records
from eval.data.importers.ses import objects

_UNIPROT = re.compile(r"(?:sp|tr)\|([A-Z0-9]+)\|.*")
NO_PAIR = "its line is not a name and a sequence separated by a tab"
NAME_COLUMNS = ("name", "id", "accession", "node_id", "Entry")
SEQUENCE_COLUMNS = ("sequence", "seq", "Sequence")


def accession(text: str) -> str:
    """The accession of a FASTA id such as `sp|P03135|CAPSD_AAV2S`; other ids are unchanged."""
    found = _UNIPROT.fullmatch(text)
    return found[1] if found else text


def read_sequences(
    paths: Sequence[Path],
    gathered: Gathered,
    *,
    wanted: Container[str],
    key: Callable[[str], str] = accession,
) -> dict[str, str]:
    """Reads name → sequence for the `wanted` names; of repeated names the first counts.

    Args:
      wanted: names as `key` writes them.
      key: maps a file's name to ours, such as `chains.chain_id`.

    Raises:
      UserError: a file has none of these formats.
    """
    found = {}
    for path in paths:
        for line, written, text in _named(path, gathered):
            name = key(written)
            if name in wanted and name not in found:
                sequence = gathered.sequence(path, line, name, text)
                if sequence is not None:
                    found[name] = sequence
    return found


def _named(path: Path, gathered: Gathered) -> Iterator[tuple[int, str, str]]:
    first = next((line.strip() for _, line in lines(path)), "")
    if first.startswith(">"):
        return (
            (record.line, (record.header.split() or [""])[0], record.text)
            for record in records(path, gathered)
        )
    if first.startswith("{"):
        return ((line, row["name"], row["aa_seq"]) for line, row in objects(path, gathered))
    header = table_header(path)
    name = next((column for column in NAME_COLUMNS if column in header), None)
    sequence = next((column for column in SEQUENCE_COLUMNS if column in header), None)
    if name and sequence:
        rows = table_rows(path, gathered, columns=(name, sequence))
        return ((row.line, row.cells[name], row.cells[sequence]) for row in rows)
    if len(first.split("\t")) != 2:
        raise UserError(
            f"{path} holds no sequences: it begins with {first[:60]!r}; expected FASTA, JSON "
            "lines, or a table of names and sequences."
        )
    return _pairs(path, gathered)


def _pairs(path: Path, gathered: Gathered) -> Iterator[tuple[int, str, str]]:
    """Yields the rows of a two-column table without a header."""
    for line, text in listed(path, gathered):
        cells = text.split("\t")
        if len(cells) == 2:
            yield line, *cells
        else:
            gathered.reject(path, line, cells[0][:100], NO_PAIR)
