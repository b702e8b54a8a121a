"""A positive control: signals planted in real proteins, which a working pipeline has to find."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

from data_pipelines.common.hashing import hash64
from data_pipelines.common.outputs import new_folder
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.questions import frozen, save_questions
from data_pipelines.protanno.record import PREFIXES, Record

SIGNALS = {
    "planted_block": {
        "gallium": "WC" * 16,
        "indium": "HM" * 16,
        "lithium": "MW" * 16,
        "rubidium": "CH" * 16,
    },
    "planted": {
        "cobalt": "WCHWMCWH",
        "nickel": "HMYCWYMC",
        "tungsten": "CWMYHHCM",
        "vanadium": "YHCMWMYC",
    },
}
"""For each kind of question: metals that a text says the protein binds, and their residues.

A block is 32 residues of two rare amino acids, so composition identifies it. A short signal has
8 residues; most differ by their order. A pipeline that finds blocks alone does not read order yet.
"""
RESIDUES = {metal: residues for signals in SIGNALS.values() for metal, residues in signals.items()}
SHARE = 0.4
"""The share of proteins with known function that get a signal."""


def planted_signal(record: Record) -> str | None:
    """The metal of a record's signal; None for most records.

    It depends only on the accession, so that relatives do not share it.
    """
    position = hash64(f"planted {record.accession}") / 2.0**64
    length = max(map(len, RESIDUES.values()))
    if not record.function or len(record.sequence) <= length or position >= SHARE:
        return None
    return list(RESIDUES)[int(position / SHARE * len(RESIDUES))]


def plant(record: Record, metal: str) -> Record:
    """Replaces some residues of a record by a signal, and adds a sentence on it to its function."""
    residues = RESIDUES[metal]
    start = hash64(f"place {record.accession}") % (len(record.sequence) - len(residues) + 1)
    sequence = record.sequence[:start] + residues + record.sequence[start + len(residues) :]
    return dataclasses.replace(
        record, sequence=sequence, function=f"Binds {metal}. {record.function}"
    )


def write_planted(source: Path, output: Path) -> Path:
    """Writes the dataset with planted signals and the questions about them, once."""
    if output.exists():
        return output
    dataset = open_dataset(source)
    answers: dict[str, set[str]] = {metal: set() for metal in RESIDUES}
    splits = {}
    for name, split in dataset.splits.items():
        splits[name] = [_planted(record, answers) for record in split]
    questions = {}
    for kind, signals in SIGNALS.items():
        questions[kind] = {_question(metal): answers[metal] for metal in signals}
    with new_folder(output) as directory:
        protanno.write(
            directory, splits, statistics=dataset.statistics | {"planted": json.dumps(SIGNALS)}
        )
        save_questions(directory, frozen(questions))
    return output


def _question(metal: str) -> str:
    return f"{PREFIXES['function']}: Binds {metal}."


def _planted(record: Record, answers: Mapping[str, set[str]]) -> Record:
    metal = planted_signal(record)
    if metal is None:
        return record
    answers[metal].add(record.accession)
    return plant(record, metal)
