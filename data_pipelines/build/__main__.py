"""Builds ProtAnno, a TFDS dataset, from UniProt files: read → validate → deduplicate → exclude →
cluster → split → write.

The steps are functions of records and of groups of records (`reading`, `group` and `steps` of
`building`), which two drivers run: `local` in processes of this machine, `beam` as Apache Beam
pipelines. A split's records lie in the order of their sequences' hashes, so that the dataset
depends neither on the order of the input nor on the driver or its workers.

A built folder also holds `rejects.jsonl` (entries that gave no record), `merged.tsv.gz` (entries of
a sequence that another one's record has: accession, source, and those of the record) and
`excluded.tsv` (records left out, with the benchmark files that hold their sequence), so that
every entry read is either in the dataset or in one of them.
"""

import argparse
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
from data_pipelines.build.entry_fields import read_cluster_field, read_marked
from data_pipelines.build.exclude import read_excluded
from data_pipelines.build.group import Grouping
from data_pipelines.build.local import local_runner
from data_pipelines.build.question_file import COLUMNS, read_questions
from data_pipelines.build.work_folder import WorkFolder
from data_pipelines.common.errors import UserError, command
from data_pipelines.common.hashing import file_sha256
from data_pipelines.common.outputs import new_folder
from data_pipelines.download.resumable import provenance_path, read_notes
from data_pipelines.inputs.plausibility import commonest_of_most
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.clusters import HELD_OUT, split_name
from data_pipelines.protanno.questions import SAID_FILE, save_questions
from data_pipelines.readers.source_formats import DESCRIPTION
from data_pipelines.readers.uniprot.lab_jsonl import ignored_field
from data_pipelines.report.page import write_report

SMALL_BYTES = 16 << 20
"""Inputs that are smaller in all are read in one process unless told otherwise: starting others
would take longer."""

MINHASH, NONE = "minhash", "none"

RANDOM_TEST_FRACTION = 0.02
"""Of the records that clusters leave for training, those held out at random; without clusters
`test` is random itself."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to build: all that shows in the dataset.

    Attributes:
      inputs: source files, of the formats in `SOURCE_FORMATS`.
      clusters: a file of similarity clusters, see `read_clusters`.
      cluster_field: the field of a lab's JSON lines that names each entry's similarity cluster.
      cluster: `minhash` finds similarity clusters by itself, `none` has each sequence on its own
        (but for the others).
      exclude_fasta: FASTA files of sequences that no record may have.
      exclude_entries: fields of a lab's JSON lines that mark such sequences, see `read_marked`.
      validation_fraction, test_fraction: shares of the clusters to hold out.
      random_test_fraction: share of the other records to hold out one by one; None =
        `RANDOM_TEST_FRACTION` if there are clusters, else 0.
      identities: how near held-out records are to training records, see
        `nearest_training.read_identities`.
      max_rejected_fraction: of the entries; more of them fail the build.
      questions: a file of questions about single properties, see `read_questions`.
      accept_doubtful: builds even where most sequences look like nucleotides.
      skip_overlap: leaves out how many held-out records have a relative in training.
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
                f"--validation_fraction {self.validation_fraction} and --test_fraction "
                f"{self.test_fraction} must be at least 0 "
                f"and together below 1, --max_rejected_fraction {self.max_rejected_fraction} "
                "must be from 0 to 1"
            )
        if not 0 <= (self.random_test_fraction or 0) < 1:
            raise UserError(
                f"--random_test_fraction {self.random_test_fraction} must be at least 0 and below 1"
            )
        ways = {
            "--clusters": self.clusters,
            "--cluster_field": self.cluster_field,
            "--cluster": self._found,
        }
        if len(given := [f"{option} {value}" for option, value in ways.items() if value]) > 1:
            raise UserError(f"{' and '.join(given)} are two ways to cluster; choose one")

    @property
    def _found(self) -> str | None:
        """How clusters are found by the build itself, if they are."""
        return None if self.cluster == NONE else self.cluster

    @property
    def clustered(self) -> bool:
        """Whether records lie in clusters that are held out whole."""
        return bool(self.clusters or self.cluster_field or self._found)

    @property
    def fields(self) -> set[str]:
        """The fields of a lab's JSON lines that say how to build."""
        marks = {mark.partition("=")[0] for mark in self.exclude_entries}
        return marks | ({self.cluster_field} if self.cluster_field else set())

    @property
    def fractions(self) -> dict[str, float]:
        """The shares to hold out, as keyword arguments."""
        by_default = RANDOM_TEST_FRACTION if self.clustered else 0.0
        random = by_default if self.random_test_fraction is None else self.random_test_fraction
        return {
            "validation_fraction": self.validation_fraction,
            "test_fraction": self.test_fraction,
            "random_test_fraction": random,
        }

    def cluster_units(self) -> ClusterUnits:
        """The similarity clusters that a file or a field names."""
        if self.cluster_field:
            return read_cluster_field(self.inputs, self.cluster_field)
        return read_clusters(self.clusters) if self.clusters else NO_CLUSTERS

    def excluded(self) -> dict[int, tuple[str, ...]]:
        """The keys of sequences that no record may have, each with the files and fields that say
        so."""
        by_file, by_field = (
            read_excluded(self.exclude_fasta),
            read_marked(self.inputs, self.exclude_entries),
        )
        return {
            key: (*by_file.get(key, ()), *by_field.get(key, ()))
            for key in [*by_file, *(by_field.keys() - by_file.keys())]
        }

    def grouping(self) -> Grouping:
        """Reads the files that say how to group.

        Raises:
          UserError: one cannot be read.
        """
        asked, said = read_questions(self.questions) if self.questions else ({}, {})
        return Grouping(
            cluster_units=self.cluster_units(),
            excluded=self.excluded(),
            questions=asked,
            said=said,
            sketch=self.cluster == MINHASH or not self.skip_overlap,
        )


class Runner(Protocol):
    """A driver: what computes the steps, and where."""

    def read(
        self, inputs: Sequence[Path], folder: WorkFolder, *, rejects: Path
    ) -> tuple[counts.InputCounts, counts.Grouped, int]:
        """Reads and groups all inputs and lists the rejects. Returns the counts, and the number
        of ranges in the folder."""

    def map(self, function: Callable, tasks: Iterable) -> Iterator:
        """The results of a function of each task, in the order of the tasks."""


def build(options: Options, directory: Path, *, runner: Runner) -> dict:
    """Builds into an existing folder and returns what `statistics.json` holds.

    Raises:
      UserError: an input is unreadable, too many entries are rejected, or no record is left.
    """
    # Of a name of its own: a process that outlives a killed build must not write into the next one.
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
            f"no record is left: all {reading.records} have sequences of --exclude_fasta or "
            "--exclude_entries"
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
            f"{options.clusters} names none of the {grouped.records} records by its "
            "accession, so that nothing would be held "
            "together. CD-HIT cuts names unless it runs with -d 0; the names must be those "
            "of the input."
        )
    if options.questions and not grouped.answering:
        raise UserError(
            f"{options.questions} names none of the {grouped.records} records by its "
            "accession; the accessions must be those "
            "of the input."
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
        result["questions"] = {kind: len(asked) for kind, asked in grouping.questions.items()}
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
    """Raises a UserError if more than a share `limit` of the entries gave no record, or all of
    them."""
    if not reading.records or reading.rejected > limit * reading.entries:
        with open(rejects, encoding="utf-8") as file:
            example = next(file, "").strip()
        raise UserError(
            f"{reading.rejected} of {reading.entries} entries were rejected, more than "
            "allowed; mend the input. "
            f"The first: {example}"
        )


def refuse_doubtful(reading: counts.InputCounts) -> None:
    """Raises a UserError if most records look like something else than proteins."""
    if most := commonest_of_most(reading.doubted, reading.records):
        what, count = most
        raise UserError(
            f"{count} of {reading.records} sequences look like {what}, not like proteins; "
            "translate them first, or pass "
            "--accept_doubtful to build from them as they are"
        )


def provenance(options: Options) -> dict:
    """What a dataset is made of and how: names, sizes, digests and UniProt releases of the
    files, and the options."""
    result = {
        "inputs": [_fingerprint(path) for path in options.inputs],
        "clusters": options.clusters and _fingerprint(options.clusters),
        "cluster_field": options.cluster_field,
        "identities": options.identities and _fingerprint(options.identities),
        "exclude_fasta": [_fingerprint(path) for path in options.exclude_fasta],
        "exclude_entries": list(options.exclude_entries),
        "questions": options.questions and _fingerprint(options.questions),
        **options.fractions,
        "cluster": options.cluster,
    }
    return result | ({"minhash": minhash.PARAMETERS} if options.cluster == MINHASH else {})


def _fingerprint(path: Path) -> dict:
    """Of a file that `data_pipelines.download` fetched also the release, which UniProt's files
    do not tell themselves."""
    digest = file_sha256(path)
    notes = read_notes(provenance_path(path))
    known = (
        {"release": notes["release"]}
        if notes.get("sha256") == digest and "release" in notes
        else {}
    )
    return {"name": path.name, "bytes": path.stat().st_size, "sha256": digest} | known


def summary(result: Mapping) -> str:
    """A table of the counts."""
    held_out = {name: result["splits"][name] for name in HELD_OUT if name in result["splits"]}
    rows = [("cluster", "records", "training")]
    rows += [
        (cluster, str(size), str(result["splits"].get(split_name(cluster), 0)))
        for cluster, size in result["clusters"].items()
    ]
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
        lines.append(
            f"{count} of {result['entries'] - result['rejected']} sequences look like "
            f"{what}, not like proteins"
        )
    for name, sequences in result["exclude_fasta_sequences"].items():
        found = result["excluded_by_file"].get(name, 0)
        shown = f"{found} of its {sequences} sequences were in the input and are left out"
        marked = f"{found} records are left out, of {sequences} sequences that it marks"
        lines.append(
            f"{name}: {marked if name in result['provenance']['exclude_entries'] else shown}"
        )
    if "questions" in result:
        asked = sum(result["questions"].values())
        lines.append(
            f"{result['records_that_answer']} of {result['records']} records answer some of "
            f"{asked} questions"
        )
    for name, found in result.get("overlap", {}).items():
        lines.append(
            f"{name}: {found['related']} of {found['sampled']} looked up have a relative in "
            "training"
        )
        if found["related_without_text"]:
            lines.append(
                f"{name}: {found['related_without_text']} have one among the training "
                "records without text"
            )
    for what, count in result.get("identities", {}).items():
        lines.append(f"identities: {count} {what.replace('_', ' ')}")
    return "\n".join(lines)


def usable_cores(inputs: Sequence[Path]) -> int:
    """How many processes to use by default: one for small inputs, else one for each core that
    this process may use."""
    size = sum(path.stat().st_size for path in inputs if path.is_file())
    return 1 if size < SMALL_BYTES else len(os.sched_getaffinity(0))


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Builds a dataset and prints its counts."""
    args = vars(_parser().parse_args(arguments))
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
        raise UserError(f"--workers is {workers}; give at least 1")
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
    # Here, as the package is no requirement.
    from data_pipelines.build.beam import beam_runner

    return beam_runner(beam_options, shared=directory)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m data_pipelines.build",
        epilog="Example: python -m data_pipelines.build --input uniprot_sprot.dat.gz --output "
        "swissprot",
        description=__doc__.partition("\n\n")[0],
    )
    add = parser.add_argument
    add(
        "--input",
        type=Path,
        nargs="+",
        required=True,
        help=f"source files, plain or .gz: {DESCRIPTION}",
    )
    add("--output", type=Path, required=True, help="the dataset's folder, new or empty")
    add(
        "--clusters",
        type=Path,
        help="similarity clusters (TSV of cluster id and accession, or CD-HIT's .clstr), held out "
        "whole",
    )
    add(
        "--cluster_field",
        metavar="FIELD",
        help="take similarity clusters from this field of a lab's JSON lines",
    )
    add(
        "--cluster",
        choices=(NONE, MINHASH),
        default=NONE,
        help="find similarity clusters by k-mer MinHash (default: none)",
    )
    add(
        "--exclude_fasta",
        type=Path,
        nargs="+",
        default=[],
        metavar="FASTA",
        help="leave out every sequence that is in these",
    )
    add(
        "--exclude_entries",
        nargs="+",
        default=[],
        metavar="FIELD[=VALUE]",
        help="leave out a lab's JSON entries of which the field is true, or is or holds the value",
    )
    share = {"type": float, "metavar": "F"}
    add(
        "--validation_fraction", default=0.05, **share, help="of the clusters (default %(default)s)"
    )
    add("--test_fraction", default=0.05, **share, help="of the clusters (default %(default)s)")
    add(
        "--random_test_fraction",
        **share,
        help="of the records left for training, held out at random (default 0.02 with clusters, "
        "else 0)",
    )
    add(
        "--identities",
        type=Path,
        metavar="FILE",
        help="hits of held-out to training proteins, or another dataset's nearest.tsv.gz; see "
        "docs/data.md",
    )
    add(
        "--max_rejected_fraction",
        default=1.0,
        **share,
        help="fail above it (default %(default)s: never)",
    )
    add(
        "--questions",
        type=Path,
        help=f"questions about single properties: a TSV with the columns {', '.join(COLUMNS)}",
    )
    add(
        "--accept_doubtful",
        action="store_true",
        help="build even if most sequences look like nucleotides",
    )
    add(
        "--skip_overlap",
        action="store_true",
        help="do not look for relatives of held-out records in training",
    )
    add(
        "--workers",
        type=int,
        help="processes of the local runner (default: a core each, one for small inputs)",
    )
    add(
        "--runner",
        choices=("local", "beam"),
        default="local",
        help="beam needs the apache-beam package (default %(default)s)",
    )
    add(
        "--beam_options",
        default="",
        help="of Beam, in one string: --beam_options='--runner=FlinkRunner --parallelism=64'",
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
