"""Writes a manifest for `python -m eval` of the public benchmarks in a data folder.

Validation tables stand in for hidden tests.
"""

import json
from pathlib import Path

from data_pipelines.common.atomic_write import atomic_write
from eval.data.manifest import MANIFEST

ENTRIES = {
    "localisation_scl2205": {
        "format": "scl2205",
        "train": "scl2205.train.csv.gz",
        "test": "scl2205.valid.csv.gz",
        "labels": "scl2205.labels.json",
    },
    "ec_swissmodel": {
        "format": "ec_table",
        "train": "swissmodel_ec.train.tsv.gz",
        "test": "swissmodel_ec.valid.tsv.gz",
    },
    "fluorescence": {
        "format": "tables",
        "train": "tape_fluorescence.train.csv.gz",
        "test": "tape_fluorescence.test.csv.gz",
    },
    "similarity_kgsim": {
        "format": "kgsim",
        "files": {name: f"kgsim_MF_{name}.csv.gz" for name in ("DM3", "EC3", "SC3")},
        "sequences": "kgsim_sequences.fasta.gz",
    },
}
"""File names as in the data folder's `bench`."""


def write_manifest(bench: Path, output: Path) -> list[str]:
    """Writes `benchmarks.json` for the benchmarks with files in `bench`; returns their names."""
    found = {}
    for name, entry in ENTRIES.items():
        own = {key: _located(value, key, bench) for key, value in entry.items()}
        if all(Path(path).exists() for path in _paths(own)):
            found[name] = own
    output.mkdir(parents=True, exist_ok=True)
    atomic_write(output / MANIFEST, json.dumps(found, indent=1) + "\n")
    return list(found)


def _located(value: str | dict, key: str, bench: Path) -> str | dict:
    if isinstance(value, dict):
        return {name: _located(part, name, bench) for name, part in value.items()}
    return value if key == "format" else str(bench.absolute() / value)


def _paths(entry: dict) -> list[str]:
    files = [value for key, value in entry.items() if key != "format" and isinstance(value, str)]
    return [*files, *entry.get("files", {}).values()]
