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
    "cobalt": "WCHWMCWH",
    "nickel": "HMYCWYMC",
    "tungsten": "CWMYHHCM",
    "vanadium": "YHCMWMYC",
}
"""Metals that a text says the protein binds, and the residues that encode them.

Each is a different order of four rare residues.
"""
SHARE = 0.4
"""The share of proteins with known function that get a signal."""
KIND = "planted"


def planted_signal(record: Record) -> str | None:
    """The name in `SIGNALS` of a record's signal; None for most records.

    It depends only on the accession, so that relatives do not share it.
    """
    position = hash64(f"planted {record.accession}") / 2.0**64
    length = max(map(len, SIGNALS.values()))
    if not record.function or len(record.sequence) <= length or position >= SHARE:
        return None
    return list(SIGNALS)[int(position / SHARE * len(SIGNALS))]


def plant(record: Record, metal: str) -> Record:
    """Replaces some residues of a record by a signal, and adds a sentence on it to its function."""
    residues = SIGNALS[metal]
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
    questions: dict[str, set[str]] = {
        f"{PREFIXES['function']}: Binds {metal}.": set() for metal in SIGNALS
    }
    splits = {}
    for name, split in dataset.splits.items():
        splits[name] = [_planted(record, questions) for record in split]
    with new_folder(output) as directory:
        protanno.write(
            directory, splits, statistics=dataset.statistics | {"planted": json.dumps(SIGNALS)}
        )
        save_questions(directory, frozen({KIND: questions}))
    return output


def _planted(record: Record, questions: Mapping[str, set[str]]) -> Record:
    metal = planted_signal(record)
    if metal is None:
        return record
    questions[f"{PREFIXES['function']}: Binds {metal}."].add(record.accession)
    return plant(record, metal)
