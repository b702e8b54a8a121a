"""Builds the ProtAnno dataset (in TFDS format) from UniProt files.

The steps are: read → validate → deduplicate → exclude → cluster → split → write. They are functions
of records and of groups of records (modules `reading`, `group` and `steps`). Two drivers run them:
`local` in processes on this machine, `beam` as Apache Beam pipelines. Records of a split are
ordered by the hash of their sequence, so the dataset depends neither on the order of the input nor
on the driver or its workers.

Every entry read is either in the dataset or in one of three files of the built folder:
`rejects.jsonl` has entries that gave no record. `merged.tsv.gz` has entries whose sequence another
record has: accession, source, and those of the record. `excluded.tsv` has records left out, and the
benchmark files that contain their sequence.
"""

import contextlib
import dataclasses
import gzip
import itertools
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from data_pipelines.build import counts, minhash, nearest_training, steps, work_folder
from data_pipelines.build.cluster_files import NO_CLUSTERS, ClusterUnits, read_clusters
from data_pipelines.build.command_line import MINHASH, NONE, make_parser
from data_pipelines.build.entry_fields import read_cluster_field, read_marked
from data_pipelines.build.exclude import read_excluded
from data_pipelines.build.group import Grouping
from data_pipelines.build.local import local_runner
from data_pipelines.build.question_file import read_questions
from data_pipelines.build.work_folder import WorkFolder
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.outputs import new_folder
from data_pipelines.download.resumable import provenance_path, read_notes
from data_pipelines.inputs.plausibility import commonest_of_most
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.clusters import HELD_OUT, split_name
from data_pipelines.protanno.questions import SAID_FILE, save_questions
from data_pipelines.readers.uniprot.lab_jsonl import ignored_field
from data_pipelines.report.page import write_report

SMALL_BYTES = 16 << 20
"""Inputs smaller than this in total are read in one process by default; more take longer."""

RANDOM_TEST_FRACTION = 0.02
"""Default share of training records to hold out at random.

It applies only with clusters; without clusters, `test` is already random.
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """All build options that affect the dataset.

    Attributes:
      inputs: source files, in the formats of `SOURCE_FORMATS`.
      clusters: a file of similarity clusters, see `read_clusters`.
      cluster_field: the field of a lab's JSON lines with each entry's similarity cluster.
      cluster: `minhash` computes similarity clusters, `none` treats each sequence as its own
        cluster (unless one of the other options gives clusters).
      exclude_fasta: FASTA files of sequences to leave out.
      exclude_entries: fields of a lab's JSON lines that mark such sequences, see `read_marked`.
      validation_fraction, test_fraction: shares of the clusters to hold out.
      random_test_fraction: share of the remaining records to hold out individually; None =
        `RANDOM_TEST_FRACTION` if there are clusters, else 0.
      identities: similarities of held-out to training records, see
        `nearest_training.read_identities`.
      max_rejected_fraction: maximum share of rejected entries; the build fails above it.
      questions: a file of questions about single properties, see `read_questions`.
      accept_doubtful: builds even if most sequences look like nucleotides.
      skip_overlap: skips counting held-out records with a relative in training.
    """

    inputs: tuple[Path, ...]
    clusters: Path | None = None
    cluster_field: str | None = None
    cluster: str = NONE
    exclude_fasta: tuple[Path, ...] = ()
    exclude_entries: tuple[str, ...] = ()
    validation_fraction: float = 0.05
    test_fraction: float = 0.05
    random_test_fraction: float | None = None
    identities: Path | None = None
    max_rejected_fraction: float = 1.0
    questions: Path | None = None
    accept_doubtful: bool = False
    skip_overlap: bool = False

    def __post_init__(self):
        fractions = self.validation_fraction, self.test_fraction, self.max_rejected_fraction
        if not (
            all(0 <= fraction <= 1 for fraction in fractions)
            and self.validation_fraction + self.test_fraction < 1
        ):
            raise UserError(
                f"invalid fractions: --validation_fraction {self.validation_fraction} and "
                f"--test_fraction {self.test_fraction} must be at least 0 and together below 1; "
                f"--max_rejected_fraction {self.max_rejected_fraction} must be from 0 to 1."
            )
        if not 0 <= (self.random_test_fraction or 0) < 1:
            raise UserError(
                f"invalid --random_test_fraction {self.random_test_fraction}; "
                "expected at least 0 and below 1."
            )
        ways = {
            "--clusters": self.clusters,
            "--cluster_field": self.cluster_field,
            "--cluster": self._found,
        }
        given = [f"{option} {value}" for option, value in ways.items() if value]
        if len(given) > 1:
            raise UserError(f"{' and '.join(given)} both define clusters; choose one.")

    @property
    def _found(self) -> str | None:
        """The method by which the build itself finds clusters, if any."""
        return None if self.cluster == NONE else self.cluster

    @property
    def clustered(self) -> bool:
        """Whether records belong to clusters that are held out whole."""
        return bool(self.clusters or self.cluster_field or self._found)

    @property
    def fields(self) -> set[str]:
        """The fields of a lab's JSON lines that control the build."""
        marks = {mark.partition("=")[0] for mark in self.exclude_entries}
        return marks | ({self.cluster_field} if self.cluster_field else set())

    @property
    def fractions(self) -> dict[str, float]:
        """The shares to hold out, as keyword arguments of `split_codes`."""
        by_default = RANDOM_TEST_FRACTION if self.clustered else 0.0
        random = by_default if self.random_test_fraction is None else self.random_test_fraction
        return {
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
            "random_test_fraction": random,
        }

    def cluster_units(self) -> ClusterUnits:
        """Reads the similarity clusters from a file or a field."""
        if self.cluster_field:
            return read_cluster_field(self.inputs, self.cluster_field)
        return read_clusters(self.clusters) if self.clusters else NO_CLUSTERS

    def excluded(self) -> dict[int, tuple[str, ...]]:
        """Maps the keys of sequences to leave out to the files and fields that list them."""
        by_file = read_excluded(self.exclude_fasta)
        by_field = read_marked(self.inputs, self.exclude_entries)
        keys = [*by_file, *(by_field.keys() - by_file.keys())]
        return {key: (*by_file.get(key, ()), *by_field.get(key, ())) for key in keys}

    def grouping(self) -> Grouping:
        """Reads the files that control grouping.

        Raises:
          UserError: a file cannot be read.
        """
        questions, said = read_questions(self.questions) if self.questions else ({}, {})
        return Grouping(
            cluster_units=self.cluster_units(),
            excluded=self.excluded(),
            questions=questions,
            said=said,
            sketch=self.cluster == MINHASH or not self.skip_overlap,
        )


class Runner(Protocol):
    """A driver, which runs the steps."""

    def read(
        self, inputs: Sequence[Path], folder: WorkFolder, *, rejects: Path
    ) -> tuple[counts.InputCounts, counts.Grouped, int]:
        """Reads and groups all inputs and writes the rejects.

        Returns:
          The counts of input and groups, and the number of hash ranges in the folder.
        """

    def map(self, function: Callable, tasks: Iterable) -> Iterator:
        """Applies a function to each task and yields the results in task order."""


def build(options: Options, directory: Path, *, runner: Runner) -> dict:
    """Builds a dataset in an existing folder and returns the content of `statistics.json`.

    Raises:
      UserError: an input is unreadable, too many entries are rejected, or no record remains.
    """
    # The name is unique: a process that outlives a killed build must not write into the next one.
    work = Path(tempfile.mkdtemp(prefix="work-", dir=directory))
    grouping = options.grouping()
    folder = work_folder.prepare(work, grouping, inputs=options.inputs)
    rejects = directory / "rejects.jsonl"
    reading, grouped, ranges = runner.read(options.inputs, folder, rejects=rejects)
    for field in options.fields:
        del reading.omitted[ignored_field(field)]
    check_rejects(reading, rejects=rejects, limit=options.max_rejected_fraction)
    if not options.accept_doubtful:
        refuse_doubtful(reading)
    if not grouped.records:
        raise UserError(
            f"no records remain: --exclude_fasta and --exclude_entries match all {reading.records} "
            "records; exclude fewer sequences."
        )
    with (
        open(directory / "merged.tsv.gz", "wb") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as file,
    ):
        folder.concatenate(ranges, "merged.tsv", file)
    with open(directory / "excluded.tsv", "wb") as file:
        folder.concatenate(ranges, "excluded.tsv", file)

    by_file = bool(options.clusters or options.cluster_field)
    if options.clusters and grouped.unclustered == grouped.records:
        raise UserError(
            f"{options.clusters} has the accessions of none of the {grouped.records} records, so "
            "none would stay together; its names must be the accessions of the input (CD-HIT "
            "truncates names unless it runs with -d 0)."
        )
    if options.questions and not grouped.answering:
        raise UserError(
            f"{options.questions} has the accessions of none of the {grouped.records} records; use "
            "the accessions of the input."
        )
    if options.cluster == MINHASH:
        steps.join_similar(folder, ranges, ordered_map=runner.map)
    sizes = steps.assign_splits(folder, ranges, **options.fractions)
    result = (
        {"entries": reading.entries, "rejected": reading.rejected}
        | grouped.statistics()
        | reading.statistics()
    )
    result["splits"] = counts.split_sizes(sizes[:, :, 0].sum(axis=0))
    if options.clustered:
        result["similarity_clusters"] = counts.cluster_sizes(folder.load_all(ranges, "units"))
    result["exclude_fasta_sequences"] = dict(
        Counter(itertools.chain.from_iterable(grouping.excluded.values()))
    )
    if by_file:
        result["similarity_clusters"]["records_in_no_cluster"] = grouped.unclustered
    overlap = (
        None
        if options.skip_overlap
        else steps.measure_overlap(folder, ranges, ordered_map=runner.map)
    )
    if overlap is not None:
        result["overlap"] = overlap.statistics
    found = None
    if options.identities:
        found = nearest_training.read_identities(options.identities, steps.layout(folder, ranges))
        result["identities"] = found.statistics
    related = steps.relatives(folder, ranges, overlap)
    nearest_training.write(directory, steps.held_out_accessions(folder, ranges), found, related)
    if options.questions:
        result["questions"] = {kind: len(of_kind) for kind, of_kind in grouping.questions.items()}
        result["records_that_answer"] = grouped.answering
        save_questions(directory, grouping.questions)
        if grouping.said:
            save_questions(directory, grouping.said, SAID_FILE)
    result["provenance"] = provenance(options)

    shards = steps.write_splits(folder, directory, sizes, ordered_map=runner.map)
    shutil.rmtree(work)
    protanno.write_metadata(directory, shards)
    protanno.write_statistics(directory, result)
    write_report(directory, result)
    return result


def check_rejects(reading: counts.InputCounts, *, rejects: Path, limit: float) -> None:
    """Raises UserError if a share above `limit`, or all, of the entries were rejected."""
    if not reading.records or reading.rejected > limit * reading.entries:
        with open(rejects, encoding="utf-8") as file:
            example = next(file, "").strip()
        raise UserError(
            f"{reading.rejected} of {reading.entries} entries were rejected, more than "
            f"--max_rejected_fraction allows; fix the input. First reject: {example}"
        )


def refuse_doubtful(reading: counts.InputCounts) -> None:
    """Raises UserError if most records do not look like proteins."""
    if most := commonest_of_most(reading.doubted, reading.records):
        what, count = most
        raise UserError(
            f"{count} of {reading.records} sequences look like {what}, not proteins; translate "
            "them first, or pass --accept_doubtful to build from them anyway."
        )


def provenance(options: Options) -> dict:
    """Describes a dataset's origin: names, sizes, digests, UniProt releases, and the options."""
    result = {
        "inputs": list(map(_fingerprint, options.inputs)),
        "clusters": options.clusters and _fingerprint(options.clusters),
        "cluster_field": options.cluster_field,
        "identities": options.identities and _fingerprint(options.identities),
        "exclude_fasta": list(map(_fingerprint, options.exclude_fasta)),
        "exclude_entries": list(options.exclude_entries),
        "questions": options.questions and _fingerprint(options.questions),
        **options.fractions,
        "cluster": options.cluster,
    }
    return result | ({"minhash": minhash.PARAMETERS} if options.cluster == MINHASH else {})


def _fingerprint(path: Path) -> dict:
    """Identifies a file by name, size and digest, and by its release if it was downloaded here.

    UniProt's files do not contain their release; `data_pipelines.download` records it.
    """
    digest = file_sha256(path)
    notes = read_notes(provenance_path(path))
    known = (
        {"release": notes["release"]}
        if notes.get("sha256") == digest and "release" in notes
        else {}
    )
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest} | known


def summary(result: Mapping) -> str:
    """Formats the counts as a table for the terminal."""
    held_out = {name: result["splits"][name] for name in HELD_OUT if name in result["splits"]}
    rows = [("cluster", "records", "training")]
    for cluster, size in result["clusters"].items():
        rows.append((cluster, str(size), str(result["splits"].get(split_name(cluster), 0))))
    rows.append(("all", str(result["records"]), str(result["records"] - sum(held_out.values()))))
    lines = [f"{cluster:<20}{size:>12}{training:>12}" for cluster, size, training in rows]
    lines.append(
        ", ".join(
            f"{result[key]} {key}"
            for key in ("entries", "records", "rejected", "deduplicated", "excluded")
        )
    )
    lines.append(", ".join(f"{size} in {name}" for name, size in held_out.items()))
    if unclustered := result.get("similarity_clusters", {}).get("records_in_no_cluster"):
        lines.append(f"{unclustered} of {result['records']} records are in no cluster of the file")
    lines += [
        f"left out {count} times: {what}" for what, count in result["omitted_features"].items()
    ]
    for what, count in result["doubtful_records"].items():
        sequences = result["entries"] - result["rejected"]
        lines.append(f"{count} of {sequences} sequences look like {what}, not proteins")
    for name, sequences in result["exclude_fasta_sequences"].items():
        found = result["excluded_by_file"].get(name, 0)
        shown = f"{found} of its {sequences} sequences were in the input and are left out"
        marked = f"{found} records are left out, with {sequences} marked sequences"
        lines.append(
            f"{name}: {marked if name in result['provenance']['exclude_entries'] else shown}"
        )
    if "questions" in result:
        total = sum(result["questions"].values())
        lines.append(
            f"{result['records_that_answer']} of {result['records']} records "
            f"answer some of the {total} questions"
        )
    for name, found in result.get("overlap", {}).items():
        checked = f"{found['related']} of {found['sampled']} checked records"
        lines.append(f"{name}: {checked} have a relative in training")
        if found["related_without_text"]:
            bare = found["related_without_text"]
            lines.append(f"{name}: {bare} have one among the training records without text")
    for what, count in result.get("identities", {}).items():
        lines.append(f"identities: {count} {what.replace('_', ' ')}")
    return "\n".join(lines)


def usable_cores(inputs: Sequence[Path]) -> int:
    """The default number of processes: one for small inputs, else one per usable core."""
    size = sum(path.stat().st_size for path in inputs if path.is_file())
    return 1 if size < SMALL_BYTES else len(os.sched_getaffinity(0))


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Builds a dataset and prints its counts."""
    args = vars(make_parser().parse_args(arguments))
    output, runner, beam_options, workers = (
        args.pop(name) for name in ("output", "runner", "beam_options", "workers")
    )
    options = Options(
        inputs=tuple(args.pop("input")),
        exclude_fasta=tuple(args.pop("exclude_fasta")),
        exclude_entries=tuple(args.pop("exclude_entries")),
        **args,
    )
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers} must be at least 1.")
    with (
        new_folder(output) as directory,
        _runner(
            runner, directory, options=options, workers=workers, beam_options=beam_options
        ) as driver,
    ):
        result = build(options, directory, runner=driver)
    print(summary(result))


def _runner(
    name: str, directory: Path, *, options: Options, workers: int | None, beam_options: str
) -> contextlib.AbstractContextManager[Runner]:
    if name == "local":
        return local_runner(workers or usable_cores(options.inputs))
    # Imported here because apache-beam is optional.
    from data_pipelines.build.beam import beam_runner

    return beam_runner(beam_options, shared=directory)


if __name__ == "__main__":
    sys.exit(main())
