"""Makes datasets from a folder of real proteins: whole, or with an outside test set."""

import gzip
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.evidence.training_records import records, training
from benchmarks.real.plan import LEFT_OUT, TEST_FRACTION
from data_pipelines import fasta
from data_pipelines.build import __main__ as build
from data_pipelines.build import nearest_training
from data_pipelines.build.entry_fields import lab_objects
from data_pipelines.build.nearest_training import Layout
from data_pipelines.common.atomic_write import atomic_path
from data_pipelines.common.hashing import hash64
from data_pipelines.common.progress import print_status
from data_pipelines.protanno.clusters import TEST
from data_pipelines.protanno.dataset import ProtAnno, Split, Splits, encode_record, open_dataset
from data_pipelines.protanno.questions import Questions, frozen, said_by
from data_pipelines.protanno.record import PREFIXES, Record, property_texts
from data_pipelines.readers.fasta import read_fasta
from data_pipelines.readers.table import open_table
from eval.data.base.pretraining import RELATED, SEEN, PretrainingSet

ENTRIES, SEQUENCES, WORDED = "entries.jsonl.gz", "sequences_50k.fasta.gz", "comments_only.tsv.gz"
"""The files of a data folder; the second and third are optional."""
PUBLIC, GO_TERMS, GO_NAMES = "bench", "go_terms_2014.dev.tsv.gz", "go_names_2014.tsv.gz"
"""The folder of public benchmarks, and its files with GO terms of accessions and their names."""
CLUSTER_FIELD = "cluster40"
GO = "go"
"""The kind of questions about molecular functions in GO."""
ENZYME = "enzyme"
"""The kind of questions about enzymes, and the mark of entries named by an accepted enzyme name."""


class Known(NamedTuple):
    """What a data folder knows about its entries besides their records.

    Attributes:
      clusters: accession → cluster of similar sequences.
      enzymes: the accepted names of enzymes.
      worded: accessions with texts written by people; retrieval is measured on these.
      functions: question about a molecular function → accessions annotated with it in GO.
    """

    clusters: Mapping[str, str]
    enzymes: frozenset[str]
    worded: frozenset[str]
    functions: Mapping[str, frozenset[str]]


def run(command, arguments: Sequence[object]) -> None:
    """Runs a command in this process.

    Raises:
      SystemExit: the command failed.
    """
    if code := command([str(argument) for argument in arguments]):
        raise SystemExit(code)


def read_known(data_dir: Path) -> Known:
    """Reads the entries once. Without a file of worded entries, all entries count as worded.

    Raises:
      UserError: a file cannot be read.
    """
    clusters, enzymes = {}, set()
    for entry in lab_objects([data_dir / ENTRIES]):
        clusters[entry["accession"]] = str(entry.get(CLUSTER_FIELD) or entry["accession"])
        if entry.get("origin", {}).get("name") == ENZYME:
            enzymes.add(entry["name"])
    path = data_dir / WORDED
    worded = _accessions(path) if path.exists() else clusters.keys()
    functions = read_functions(data_dir / PUBLIC)
    return Known(clusters, frozenset(enzymes), frozenset(worded), functions)


def read_functions(bench: Path) -> dict[str, frozenset[str]]:
    """Reads questions such as `FUNCTION: ATP binding.` and their direct annotations.

    Annotations of ancestors are not added. Empty if the files are missing.

    Raises:
      UserError: a file cannot be read.
    """
    if not (bench / GO_TERMS).exists():
        return {}
    with open_table(bench / GO_NAMES, "tsv") as table:
        # The file has no header, so its first line is a term too.
        names = dict([table.header, *(cells for _, cells in table.rows())])
    found: dict[str, set[str]] = {}
    with open_table(bench / GO_TERMS, "tsv") as table:
        accession, terms = map(table.header.index, ("accession", "molecular_function"))
        for _, cells in table.rows():
            for term in filter(None, cells[terms].split(",")):
                question = f"{PREFIXES['function']}: {names.get(term, term)}."
                found.setdefault(question, set()).add(cells[accession])
    return {question: frozenset(answering) for question, answering in found.items()}


def _accessions(path: Path) -> set[str]:
    with open_table(path, "tsv") as table:
        place = table.header.index("accession")
        return {cells[place] for _, cells in table.rows()}


def prepare(data_dir: Path, folder: Path, identities: Path | None) -> Path:
    """Builds the dataset of all trainable entries and of the sequences without text, once.

    Args:
      identities: hits of held-out proteins to training proteins, from which bands are made.
    """
    output = folder / "protanno"
    if not output.exists():
        inputs = [data_dir / ENTRIES]
        if (data_dir / SEQUENCES).exists():
            inputs.append(_as_json_lines(data_dir / SEQUENCES, folder / "sequences.jsonl.gz"))
        options = [
            "--cluster_field",
            CLUSTER_FIELD,
            "--exclude_entries",
            *LEFT_OUT,
            "--test_fraction",
            TEST_FRACTION,
        ]
        options += ["--identities", identities] if identities else []
        run(build.main, ["--input", *inputs, *options, "--output", output])
    return output


def _as_json_lines(source: Path, target: Path) -> Path:
    """Converts sequences without text to the lab format, which the build reads."""
    if not target.exists():
        with (
            atomic_path(target) as written,
            gzip.open(written, "wt", encoding="utf-8", compresslevel=3) as file,
        ):
            for item in read_fasta(source):
                file.write(json.dumps({"accession": item.id, "sequence": item.text}) + "\n")
    return target


def write_fasta(dataset: Path, folder: Path, outside: ProtAnno | None) -> Path:
    """Writes `held_out.fasta` and `training.fasta` for a search; returns their folder.

    The held-out proteins include the outside test set if there is one.
    """
    output = folder / "fasta"
    if not output.exists():
        run(fasta.main, ["--data_dir", dataset, "--output", output])
        if outside:
            with open(output / "held_out.fasta", "ab") as file:
                fasta.write_fasta(file, [outside.splits[TEST]])
    return output


def with_questions(dataset: ProtAnno, known: Known) -> ProtAnno:
    """Adds the questions that the dataset's records answer.

    These are the locations and families that they name, enzymes by name, and GO functions.
    """
    questions = questions_of(records(dataset.splits.values()), known.enzymes)
    functions = {GO: known.functions} if known.functions else {}
    return dataset._replace(questions=questions | functions)


def questions_of(own: Iterable[Record], enzymes: Collection[str]) -> Questions:
    """Location and family as in `said_by`, and `enzyme` for accepted names of enzymes."""
    own = list(own)
    questions = {kind: dict(answers) for kind, answers in said_by(own).items() if kind != ENZYME}
    named: dict[str, set[str]] = {}
    for record in own:
        if record.name in enzymes:
            named.setdefault(f"{PREFIXES['name']}: {record.name}.", set()).add(record.accession)
    return frozen(questions | ({ENZYME: named} if named else {}))


def only(dataset: ProtAnno, accessions: Collection[str], *, split: str) -> ProtAnno:
    """The dataset with only the given records in one split."""
    kept = [record for record in dataset.splits[split] if record.accession in accessions]
    return _with_split(dataset, split, kept)


def _with_split(dataset: ProtAnno, name: str, kept: Sequence[Record]) -> ProtAnno:
    split = Split(list(map(encode_record, kept)))
    return dataset._replace(splits=Splits(dataset.splits | {name: split}))


def outside_set(path: Path, folder: Path, dataset: ProtAnno, hits: Path | None) -> ProtAnno:
    """Replaces the dataset's test split by the records of a file, without training sequences.

    Args:
      path: JSON lines in the lab format.
      folder: for the dataset built from it.
      dataset: with or without questions.
      hits: of its proteins to training proteins; without them, MinHash finds close relatives.

    Raises:
      UserError: the file holds no readable record.
    """
    if not (folder / "records").exists():
        whole = ["--validation_fraction", 0, "--test_fraction", 0, "--skip_overlap"]
        run(build.main, ["--input", path, *whole, "--output", folder / "records"])
    own = list(records(open_dataset(folder / "records").splits.values()))
    states = PretrainingSet.of(dataset).states([record.sequence for record in own])
    kept = [record for record, state in zip(own, states.tolist(), strict=True) if state != SEEN]
    print_status(
        f"{path}: {len(kept):,} of {len(own):,} proteins are measured; the sequences of the "
        "others are in the training data."
    )
    related = (states[states != SEEN] == RELATED).astype(float)
    accessions = [record.accession for record in kept]
    found = nearest_training.read_identities(hits, _layout(dataset, accessions)) if hits else None
    flags = np.stack([related, np.full(len(kept), np.nan)])
    nearest_training.write(folder, iter(accessions), found, flags)
    return _with_split(dataset, TEST, kept)._replace(directory=folder)


def _layout(dataset: ProtAnno, held_out: Sequence[str]) -> Layout:
    """Lays the outside proteins and the training records out as a build would."""
    learnt = [
        (record.accession, not property_texts(record)) for record in records(training(dataset))
    ]
    names = [*held_out, *(name for name, _ in learnt)]
    hashes = np.array([hash64(name) for name in names], np.uint64)
    place = np.concatenate([np.arange(len(held_out)), np.full(len(learnt), -1)])
    bare = np.concatenate(
        [np.zeros(len(held_out), bool), [is_bare for _, is_bare in learnt]]
    ).astype(bool)
    order = np.argsort(hashes, kind="stable")
    return Layout(hashes[order], place[order], bare[order])
