"""A folder as `benchmarks.real` reads it, of generated proteins."""

import csv
import dataclasses
import gzip
import json
import pathlib

from data_pipelines.protanno.dataset import open_dataset
from data_pipelines.protanno.questions import compartments
from data_pipelines.protanno.record import Record

FIELDS = (
    "accession",
    "sequence",
    "name",
    "function",
    "location",
    "similarity",
    "entry_name",
    "source",
    "existence",
)
NEAR, OUTSIDE = 20, 60
"""Entries that are near to a benchmark, and entries that are kept for an outside test set."""


def write(folder: pathlib.Path, sample: pathlib.Path) -> list[str]:
    """Writes the folder from a sample (`clusters.tsv`, `protanno`); returns the accessions that
    must not be learnt.

    Every third entry counts as worded.
    """
    (folder / "bench").mkdir(parents=True)
    splits = open_dataset(sample / "protanno").splits.values()
    own = [record for split in splits for record in split]
    clusters = dict(
        reversed(line.split("\t")) for line in (sample / "clusters.tsv").read_text().splitlines()
    )
    near, outside, learnt = own[:NEAR], own[NEAR : NEAR + OUTSIDE], own[NEAR + OUTSIDE :]
    entries = [entry(record, clusters, near=["scl2205"]) for record in near]
    entries += [entry(record, clusters, near=[]) for record in learnt]
    _json_lines(folder / "entries.jsonl.gz", entries)
    _json_lines(
        folder / "outside.jsonl.gz",
        [entry(record, clusters, near=[]) for record in [*outside, *learnt[:5]]],
    )
    with gzip.open(folder / "sequences_50k.fasta.gz", "wt") as file:
        file.writelines(
            f">X{place}\n{record.sequence[::-1]}\n" for place, record in enumerate(learnt[:50])
        )
    worded = [record.accession for record in learnt[::3]]
    with gzip.open(folder / "comments_only.tsv.gz", "wt") as file:
        file.writelines(f"{name}\n" for name in ["accession", *worded])
    _probe(folder / "bench", learnt[:120], near)
    _go(folder / "bench", learnt)
    return [record.accession for record in near]


def entry(record: Record, clusters: dict[str, str], *, near: list[str]) -> dict:
    """An entry with the fields of the real file; of a known location, the name is that of an
    enzyme that many share."""
    places = compartments(record.location)
    texts = {name: getattr(record, name) for name in FIELDS}
    texts |= {"name": f"{min(places)} reductase"} if places else {}
    texts["features"] = [dataclasses.astuple(feature) for feature in record.features]
    named = {"name": "enzyme" if places else "uniprot"}
    marks = {"near_benchmark_test": False, "near_bench_valid": near}
    return texts | {"cluster40": clusters[record.accession], "origin": named} | marks


def _json_lines(path: pathlib.Path, entries: list[dict]) -> None:
    with gzip.open(path, "wt") as file:
        file.writelines(json.dumps(entry) + "\n" for entry in entries)


def _go(folder: pathlib.Path, learnt: list[Record]) -> None:
    """GO's files: a function for every second protein, by the length of its sequence."""
    with gzip.open(folder / "go_names_2014.tsv.gz", "wt") as file:
        file.writelines(f"GO:000000{digit}\tdigit {digit} binding\n" for digit in range(10))
    with gzip.open(folder / "go_terms_2014.dev.tsv.gz", "wt") as file:
        file.write("accession\tmolecular_function\tbiological_process\tcellular_component\n")
        for record in learnt[::2]:
            digit = len(record.sequence) % 10
            file.write(f"{record.accession}\tGO:000000{digit},GO:0000000\t\t\n")


def _probe(folder: pathlib.Path, train: list[Record], test: list[Record]) -> None:
    """SCL2205's files: the first compartment of each location."""
    labels = {
        record.accession: min(compartments(record.location), default="Unknown")
        for record in [*train, *test]
    }
    names = sorted(set(labels.values()))
    (folder / "scl2205.labels.json").write_text(
        json.dumps({str(number): name for number, name in enumerate(names)})
    )
    for split, own in (("train", train), ("valid", test)):
        with gzip.open(folder / f"scl2205.{split}.csv.gz", "wt", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["entry", "seq", "scl"])
            rows.writerows(
                [one.accession, one.sequence, names.index(labels[one.accession])] for one in own
            )
