"""Cutting TSV files into their rows; the header tells UniProt's export from a lab's own table."""

from collections.abc import Iterator
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.readers.streams.files import open_bytes
from data_pipelines.readers.streams.pieces import TOO_LONG, pieces
from data_pipelines.readers.uniprot import lab_tsv, uniprot_tsv
from data_pipelines.readers.uniprot.entry import RawEntry, decode, printable


def split(path: Path) -> Iterator[RawEntry]:
    """The rows of a table. Each is a line; blank lines are skipped."""
    columns = format_ = None
    with open_bytes(path) as content:
        for line, text, problem in pieces(content, _line_end):
            if not text.strip():
                continue
            if columns is None:
                columns = _columns(text)
                format_ = _format(columns, path)
                continue
            # The last line needs no line end.
            yield RawEntry(format_, path.name, line, text, problem if problem == TOO_LONG else "", columns)
    if columns is None:
        raise UserError(f"{path} holds no entry: the file is empty.")


def _line_end(buffer: bytes, start: int, look_from: int) -> int:
    return buffer.find(b"\n", look_from) + 1


def _columns(header: bytes) -> tuple[str, ...]:
    text = decode(header.removeprefix(b"\xef\xbb\xbf")).rstrip("\r\n")
    return tuple(name.strip().lower() for name in text.split("\t"))


def _format(columns: tuple[str, ...], path: Path) -> str:
    named = printable(", ".join(columns))[:300]
    if twice := {name for name in columns if name and columns.count(name) > 1}:
        raise UserError(f"{path} names the column {printable(min(twice))} twice; keep one of them.")
    if set(uniprot_tsv.REQUIRED) <= set(columns):
        return uniprot_tsv.FORMAT
    if not set(lab_tsv.REQUIRED) <= set(columns):
        raise UserError(
            f"{path} is no table of proteins: its header has neither UniProt's columns Entry, Protein names and Sequence "
            f"(choose them for the export) nor accession, sequence and name, but {named}."
        )
    if unknown := set(columns) - set(lab_tsv.COLUMNS):
        raise UserError(f"{path} has the column {printable(min(unknown))}, which is none of {', '.join(lab_tsv.COLUMNS)}.")
    return lab_tsv.FORMAT
