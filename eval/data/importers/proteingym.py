"""Reads ProteinGym's substitution benchmark: a reference file with one row per assay, and CSVs."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import (
    NO_VARIANT,
    scorable_fault,
    substituted,
    substitutions,
)
from eval.data.base.assembly import NO_NUMBER, finite
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import Row, table_rows
from eval.data.base.task import Assay, Assays, MeasuredVariant
from eval.data.importers.alignment import read_alignment

REFERENCE = ("DMS_id", "DMS_filename", "UniProt_ID", "target_seq", "coarse_selection_type")
ASSAY, SEQUENCE = ("mutant", "DMS_score"), "mutated_sequence"
NO_FILE = "its file is not in the folder"
ANOTHER_SEQUENCE = "its mutated_sequence is not target_seq with its mutant applied"
NO_VARIANTS = "none of its variants can be scored"


def read_proteingym(
    *,
    reference: Path,
    folder: Path,
    benchmark: str,
    alignments: Path | None = None,
    texts: Path | None = None,
) -> Assays:
    """Reads the assays of the reference file whose CSVs are in the folder.

    Args:
      reference: `DMS_substitutions.csv`, with the columns of `REFERENCE`.
      folder: the folder of the CSVs `mutant,mutated_sequence,DMS_score,…`; mutants are 1-based in
      the whole `target_seq`, several substitutions are separated by colons.
      alignments: the folder of the files that `MSA_filename` names, for a baseline.
      texts: a table of `UniProt_ID` and `text`, what is known about the proteins.

    Raises:
      UserError: a file has another form, or no assay is found.
    """
    gathered, assays = Gathered(), []
    known = _texts(texts, gathered) if texts else {}
    for row in table_rows(reference, gathered, columns=REFERENCE):
        if (assay := _assay(row, reference, folder, gathered)) is not None:
            aligned = _alignment(row, alignments, assay.wild_type, gathered)
            text = known.get(assay.protein, "")
            assays.append(dataclasses.replace(assay, alignment=aligned, text=text))
    if not assays:
        raise UserError(f"{folder} has no assay of {reference}; unpack ProteinGym's CSVs there.")
    rows = {"assays": len(assays), "variants": sum(len(assay.variants) for assay in assays)}
    return Assays(benchmark, assays, rows, gathered.rejects, gathered.sources, gathered.notes)


def _assay(row: Row, reference: Path, folder: Path, gathered: Gathered) -> Assay | None:
    name, file = row.cells["DMS_id"], folder / row.cells["DMS_filename"]
    if not row.cells["DMS_filename"] or not file.is_file():
        gathered.reject(reference, row.line, name, NO_FILE)
        return None
    wild_type = gathered.sequence(reference, row.line, name, row.cells["target_seq"])
    if wild_type is None:
        return None
    variants = _variants(file, wild_type, gathered)
    if not variants:
        gathered.reject(reference, row.line, name, NO_VARIANTS)
        return None
    function = row.cells["coarse_selection_type"]
    return Assay(name, wild_type, variants, protein=row.cells["UniProt_ID"], function=function)


def _variants(file: Path, wild_type: str, gathered: Gathered) -> list[MeasuredVariant]:
    variants = []
    for row in table_rows(file, gathered, columns=ASSAY):
        mutant, target = row.cells["mutant"], finite(row.cells["DMS_score"])
        changes = substitutions(mutant, first_position=1)
        reason = NO_VARIANT if changes is None else scorable_fault(changes, wild_type)
        if not reason and target is None:
            reason = NO_NUMBER
        if not reason and (written := row.cells.get(SEQUENCE)):
            made = substituted(wild_type, changes)
            reason = "" if made == written else ANOTHER_SEQUENCE
        if reason:
            gathered.reject(file, row.line, mutant[:100], reason)
        else:
            variants.append(MeasuredVariant(tuple(changes), target))
    return variants


def _alignment(
    row: Row,
    folder: Path | None,
    wild_type: str,
    gathered: Gathered,
) -> tuple[str, ...]:
    name = row.cells.get("MSA_filename", "")
    if folder is None or not name or not (folder / name).is_file():
        return ()
    return read_alignment(folder / name, wild_type, gathered)


def _texts(path: Path, gathered: Gathered) -> Mapping[str, str]:
    rows = table_rows(path, gathered, columns=("UniProt_ID", "text"))
    return {row.cells["UniProt_ID"]: row.cells["text"] for row in rows}


_FILES = ("reference", "folder", "alignments", "texts")
PROTEINGYM = Format("proteingym", read_proteingym, file=_FILES)
