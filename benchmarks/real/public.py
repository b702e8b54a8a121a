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
    "beta_lactamase": {
        "format": "tables",
        "train": "BLAT_ECOLX_Ranganathan2015-2500.csv.gz",
        "target_column": "log_fitness",
    },
    "similarity_kgsim": {
        "format": "kgsim",
        "files": {name: f"kgsim_MF_{name}.csv.gz" for name in ("DM3", "EC3", "SC3")},
        "sequences": "kgsim_sequences.fasta.gz",
    },
    "similarity_kgsim_ppi": {
        "format": "kgsim",
        "files": {name: f"kgsim_PPI_{name}.csv.gz" for name in ("DM3", "EC3", "HS3")},
        "sequences": "kgsim_sequences.fasta.gz",
    },
}
"""File names as in the data folder's `bench`."""
ASSAYS = ("beta_lactamase", "fluorescence")
"""Benchmarks whose variants are also scored zero-shot."""
SUFFIXES = (".gz", ".json")
"""Values with these suffixes are files."""


def write_manifest(bench: Path, output: Path) -> list[str]:
    """Writes `benchmarks.json` for the benchmarks with files in `bench`; returns their names."""
    found = {}
    for name, entry in ENTRIES.items():
        own = _located(entry, bench)
        if all(Path(path).exists() for path in _paths(own)):
            found[name] = own
            if name in ASSAYS:
                found[f"variants_{name}"] = {"format": "assay"}
    output.mkdir(parents=True, exist_ok=True)
    atomic_write(output / MANIFEST, json.dumps(found, indent=1) + "\n")
    return list(found)


def _located(value: str | dict, bench: Path) -> str | dict:
    if isinstance(value, dict):
        return {name: _located(part, bench) for name, part in value.items()}
    return str(bench.absolute() / value) if value.endswith(SUFFIXES) else value


def _paths(value: str | dict) -> list[str]:
    if isinstance(value, dict):
        return [path for part in value.values() for path in _paths(part)]
    return [value] if value.endswith(SUFFIXES) else []
