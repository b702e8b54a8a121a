"""The protein to explain: typed, or read from a FASTA file, a file of UniProt entries or an index.

Annotations that the source has are kept.
"""

import argparse
import dataclasses
import sys
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.input_formats import Fasta
from data_pipelines.inputs.model_input import Source
from data_pipelines.inputs.plausibility import doubt
from data_pipelines.inputs.protein_input import clean_protein
from data_pipelines.protanno.record import UNKNOWN_SOURCE, Record
from data_pipelines.readers import read_entries
from data_pipelines.readers.fasta_header import header_record
from data_pipelines.readers.hits import plain_accession
from protclip_jax.retrieval import item_table
from protclip_jax.retrieval.index_folder import open_index
from protclip_jax.retrieval.lookup import EXACT, look_up

NAMES = EXACT[: EXACT.index("entry name") + 1]
"""The kinds of names that `--accession` may match in an index."""


def chosen_protein(options: argparse.Namespace) -> Record:
    """Returns the protein of the command line; warns on stderr of odd sequences.

    Raises:
      UserError: no protein or several have that name, or it is not a protein.
    """
    if options.entry:
        return read_entry(options.entry, options.accession)
    if options.fasta:
        return read_fasta_record(options.fasta, options.accession)
    if options.index:
        return read_item(options.index, options.accession)
    if options.accession:
        raise UserError(
            "--accession selects a protein of --entry, --fasta or --index; omit it with --sequence."
        )
    return _cleaned(Record("sequence", "", UNKNOWN_SOURCE, options.sequence, 0, ""), "--sequence")


def read_entry(path: Path, accession: str | None) -> Record:
    """Reads the entry named `accession`, or the only entry, of a file."""
    found = []
    for entry in read_entries(path):
        if accession in (None, entry.accession):
            found.append(entry)
        if len(found) > 1:
            raise _several(path, "entries", found[0].accession, found[1].accession)
        if accession is not None and found:
            break
    if not found:
        raise UserError(
            f"{path} has no entry {accession or ''}".rstrip() + "; check --entry and --accession."
        )
    if not isinstance(found[0], Record):
        raise UserError(f"entry {found[0].accession} of {path} cannot be used: {found[0].reason}.")
    return found[0]


def read_fasta_record(path: Path, accession: str | None) -> Record:
    """Reads the FASTA record whose id or accession is `accession`, or the only record.

    The record includes what its header says.
    """
    found = []
    for item in Source(path=path, format=Fasta.name, modality="protein").prepared():
        if accession in (None, item.id, plain_accession(item.id)):
            found.append(item)
        if len(found) > 1:
            raise _several(path, "proteins", found[0].id, found[1].id)
        if accession is not None and found:
            break
    if not found:
        raise UserError(
            f"{path} has no protein {accession or ''}".rstrip() + "; check --fasta and --accession."
        )
    (item,) = found
    if item.fault:
        raise UserError(f"{item.id} of {path} cannot be used: {item.fault}.")
    return _cleaned(header_record(item.id, item.name, item.written or item.text), item.id)


def read_item(folder: Path, accession: str | None) -> Record:
    """Reads the protein of an index whose id, accession or entry name is `accession`."""
    if accession is None:
        raise UserError(f"--index={folder} has many proteins; select one with --accession.")
    index = open_index(folder)
    if index.manifest["modality"] != "protein":
        raise UserError(f"{folder} is an index of labels; pass an index of proteins.")
    matches = [match for match in look_up(index.items, accession, top=2) if match.by in NAMES]
    items = [item_table.item_at(index.items, match.row) for match in matches]
    if not items:
        raise UserError(f"the index {folder} has no protein {accession}; check --accession.")
    if len(items) > 1:
        raise _several(folder, "such proteins", items[0]["id"], items[1]["id"])
    (item,) = items
    if not item["sequence"]:
        raise UserError(
            f"the index {folder} does not store the sequence of {item['id']}; pass --sequence."
        )
    return item_table.item_record(item)


def _several(path: Path, what: str, first: str, second: str) -> UserError:
    return UserError(f"{path} has several {what} ({first}, {second}, …); pass --accession.")


def _cleaned(record: Record, called: str) -> Record:
    """The record with its sequence cleaned as the model reads it."""
    try:
        cleaned = clean_protein(record.sequence)
    except ValueError as error:
        raise UserError(f"{called} is not a protein: {error}.") from error
    if looks := doubt(cleaned.sequence):
        print(f"sequence: looks like {looks}, not like a protein.", file=sys.stderr)
    if cleaned.changes:
        counts = ", ".join(f"{count} {what}" for what, count in cleaned.changes.items())
        print(f"sequence cleaned: {counts}", file=sys.stderr)
    return dataclasses.replace(record, sequence=cleaned.sequence)
