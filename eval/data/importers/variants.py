"""Reads variants by substitutions such as `A108D,N144D`, from a table or from FASTA headers.

A table comes with its wild type.
"""

import re
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from data_pipelines.common.errors import UserError
from data_pipelines.inputs.substitutions import (
    NO_VARIANT,
    Substitution,
    fault,
    substituted,
    substitutions,
)
from eval.data.base.assembly import NO_NUMBER, finite, regression
from eval.data.base.format import Format
from eval.data.base.gathered import Gathered
from eval.data.base.rows import table_rows
from eval.data.base.task import Sample, Task
from eval.data.importers.fasta import records
from eval.data.importers.reference import read_reference
from eval.data.importers.tables import TARGET_COLUMNS, chosen_column

STOP = "it has a stop codon inside"
SYNONYMOUS = "it is named as a variant but has the wild type's sequence"
ANOTHER_SEQUENCE = "its sequence does not match the variant that its header names"

_HEADER = re.compile(r"[^|]*\|[^|]*_([A-Z])(\d{1,6})([A-Z])\|([^|]+)")


def read_variant_table(
    file: Path, *, benchmark: str, wild_type: Path, first_position: int, stop: str = "reject"
) -> Task:
    """Reads a regression from a table with a column `variant` and a score, all of it `train`.

    Args:
      wild_type: a FASTA file, or a file with only the sequence.
      first_position: 0 or 1, the number of the first residue.
      stop: how to treat an internal stop codon: `reject` the row, or `delete` the letter and keep
      what follows, as TAPE's fluorescence data do.

    Raises:
      UserError: a file has another form, or most variants do not fit the wild type.
    """
    if first_position not in (0, 1) or stop not in ("reject", "delete"):
        raise UserError(
            f"{benchmark}: expected first_position 0 or 1 and stop reject or delete, not "
            f"{first_position!r} and {stop!r}."
        )
    gathered, samples, faults = Gathered(), [], Counter()
    reference = read_reference(wild_type, gathered)
    target_column = chosen_column(file, TARGET_COLUMNS, None)
    for row in table_rows(file, gathered, columns=("variant", target_column)):
        name, target = row.cells["variant"], finite(row.cells[target_column])
        changes = substitutions(name, first_position=first_position)
        reason = NO_VARIANT if changes is None else fault(changes, reference)
        faults[reason] += 1
        if not reason and target is None:
            reason = NO_NUMBER
        sequence = "" if reason else substituted(reference, changes)
        if "*" in sequence and stop == "reject":
            reason = STOP
        if reason:
            gathered.reject(file, row.line, name, reason)
        elif (
            clean := gathered.sequence(file, row.line, name, sequence.replace("*", ""))
        ) is not None:
            samples.append(Sample(name, clean, target))
    if 2 * faults[""] < faults.total():
        raise UserError(
            f"{file}: {faults.total() - faults['']} of {faults.total()} variants do not fit "
            f"{wild_type} with its first residue "
            f"numbered {first_position}; check first_position and the wild type."
        )
    return regression(benchmark, {"train": samples}, gathered)


class _Variant(NamedTuple):
    line: int
    name: str
    sequence: str
    change: Substitution
    target: float


def read_variant_fasta(file: Path, *, benchmark: str, synonymous: str = "reject") -> Task:
    """Reads a regression from `>index|protein_P20A|score` headers, 1-based, all of it `train`.

    The wild type is what most records give once their substitution is undone; records that give
    another are rejected.

    Args:
      synonymous: `reject` or `keep` records whose substitution changes nothing; these have one
      sequence and many targets.

    Raises:
      UserError: the file is not such a FASTA.
    """
    if synonymous not in ("reject", "keep"):
        raise UserError(f"{benchmark}: unknown synonymous={synonymous!r}; expected reject or keep.")
    gathered, samples = Gathered(), []
    variants = _variants(file, gathered)
    undone = [
        substituted(v.sequence, [v.change._replace(residue=v.change.wild_type)]) for v in variants
    ]
    wild_type = Counter(undone).most_common(1)[0][0] if undone else ""
    for variant, original in zip(variants, undone, strict=True):
        if original != wild_type:
            gathered.reject(file, variant.line, variant.name, ANOTHER_SEQUENCE)
        elif variant.sequence == wild_type and synonymous == "reject":
            gathered.reject(file, variant.line, variant.name, SYNONYMOUS)
        else:
            samples.append(Sample(variant.name, variant.sequence, variant.target))
    return regression(benchmark, {"train": samples}, gathered)


def _variants(file: Path, gathered: Gathered) -> list[_Variant]:
    variants = []
    for count, record in enumerate(records(file, gathered)):
        header = _HEADER.fullmatch(record.header)
        if header is None and not count:
            raise UserError(
                f"{file}: its first header is {record.header[:80]!r}; expected one like "
                "0|beta-lactamase_P20P|1.58."
            )
        target = finite(header[4]) if header else None
        if target is None:
            gathered.reject(
                file, record.line, record.header[:100], NO_VARIANT if header is None else NO_NUMBER
            )
            continue
        sequence = gathered.sequence(file, record.line, record.header, record.text)
        change, name = (
            Substitution(header[1], int(header[2]) - 1, header[3]),
            header[1] + header[2] + header[3],
        )
        if sequence is not None and not (
            0 <= change.index < len(sequence) and sequence[change.index] == change.residue
        ):
            gathered.reject(file, record.line, name, ANOTHER_SEQUENCE)
        elif sequence is not None:
            variants.append(_Variant(record.line, name, sequence, change, target))
    return variants


VARIANT_TABLE = Format(
    "variant_table",
    read_variant_table,
    file=("file", "wild_type"),
    options={"first_position": int, "stop": str},
)
VARIANT_FASTA = Format(
    "variant_fasta", read_variant_fasta, file=("file",), options={"synonymous": str}
)
