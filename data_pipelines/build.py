"""Builds ProtAnno, a TFDS dataset, from UniProt files: read → validate → deduplicate → cluster → split → write.

The steps are functions of records; `build_local` drives them in the memory of one process. A split's records lie in the order
of their sequences' hashes, so that the dataset does not depend on the order of the input, nor on the driver.
"""

import argparse
import dataclasses
import hashlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from data_pipelines import protanno
from data_pipelines.clusters import TEST, VALIDATION, assign_split, read_clusters
from data_pipelines.errors import UserError, command
from data_pipelines.hashing import hash64
from data_pipelines.output_folder import finished_folder
from data_pipelines.progress import progress
from data_pipelines.readers import Entry, Reject, read_entries
from data_pipelines.record import SOURCES, Record, cluster_name, coverage

_UNKNOWN_EXISTENCE = 6
"""Where records of unknown existence rank among the levels 1…5: last."""


def rank(record: Record) -> tuple:
    """Sorts records of one sequence, the one to keep first: confidence, then coverage, then Swiss-Prot, then accession."""
    existence = record.existence or _UNKNOWN_EXISTENCE
    return existence, -coverage(record), SOURCES.index(record.source), record.accession, record.entry_name


def deduplicate(records: Iterable[Record]) -> list[Record]:
    """One record a sequence, the first by `rank`; the others are dropped, not merged into it."""
    kept: dict[str, Record] = {}
    for record in records:
        other = kept.setdefault(record.sequence, record)
        if rank(record) < rank(other):
            kept[record.sequence] = record
    return list(kept.values())


def arrange(
    records: Iterable[Record], *, clusters: Mapping[str, str], validation_fraction: float, test_fraction: float
) -> dict[str, list[Record]]:
    """Split name → its records in the order of their sequences' hashes. `validation` and `test` are there even if empty."""
    splits: dict[str, list[Record]] = defaultdict(list, {VALIDATION: [], TEST: []})
    for record in records:
        name = assign_split(record, clusters=clusters, validation_fraction=validation_fraction, test_fraction=test_fraction)
        splits[name].append(record)
    return {name: sorted(splits[name], key=lambda record: hash64(record.sequence)) for name in sorted(splits)}


def statistics(splits: Mapping[str, Sequence[Record]], *, entries: int, rejected: int) -> dict:
    """Counts of a dataset: entries = records + rejected + deduplicated; clusters count held-out records too."""
    records = sum(map(len, splits.values()))
    clusters = Counter(cluster_name(record) for split in splits.values() for record in split)
    return {
        "entries": entries,
        "records": records,
        "rejected": rejected,
        "deduplicated": entries - rejected - records,
        "clusters": dict(sorted(clusters.items())),
        "splits": {name: len(split) for name, split in splits.items()},
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What to build. The fractions are of the sequence clusters; rejected entries may be any share by default."""

    inputs: tuple[Path, ...]
    clusters: Path | None = None
    validation_fraction: float = 0.05
    test_fraction: float = 0.05
    max_rejected_fraction: float = 1.0

    def __post_init__(self):
        fractions = self.validation_fraction, self.test_fraction, self.max_rejected_fraction
        if not (all(0 <= fraction <= 1 for fraction in fractions) and self.validation_fraction + self.test_fraction < 1):
            raise UserError(
                f"--validation_fraction {self.validation_fraction} and --test_fraction {self.test_fraction} must be at least 0 "
                f"and together below 1, --max_rejected_fraction {self.max_rejected_fraction} must be from 0 to 1"
            )


def build_local(options: Options, directory: Path) -> dict:
    """Builds into an existing empty folder, all records in memory, and returns what `statistics.json` holds.

    Raises:
      UserError: an input is unreadable, too many entries are rejected, or no record is left.
    """
    clusters = read_clusters(options.clusters) if options.clusters else {}
    rejected_by_file, omitted, records = Counter(), Counter(), []
    with open(directory / "rejects.jsonl", "w", encoding="utf-8") as rejects:
        for entry in progress(_read_all(options.inputs, omitted), description="read", unit="entries"):
            if isinstance(entry, Reject):
                rejected_by_file[entry.file] += 1
                rejects.write(json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n")
            else:
                records.append(entry)
    rejected = rejected_by_file.total()
    entries = rejected + len(records)
    if not records or rejected > options.max_rejected_fraction * entries:
        example = next((directory / "rejects.jsonl").open(encoding="utf-8"), "").strip()
        raise UserError(
            f"{rejected} of {entries} entries were rejected, more than allowed; mend the input. The first: {example}"
        )
    splits = arrange(
        deduplicate(records),
        clusters=clusters,
        validation_fraction=options.validation_fraction,
        test_fraction=options.test_fraction,
    )
    result = statistics(splits, entries=entries, rejected=rejected) | {
        "rejected_by_file": dict(rejected_by_file),
        "omitted_features": dict(omitted),
        "provenance": _provenance(options),
    }
    protanno.write(directory, splits, statistics=result)
    return result


def _read_all(paths: Iterable[Path], omitted: Counter) -> Iterator[Entry]:
    for path in paths:
        yield from read_entries(path, omitted=omitted)


def _provenance(options: Options) -> dict:
    return {
        "inputs": [_fingerprint(path) for path in options.inputs],
        "clusters": options.clusters and _fingerprint(options.clusters),
        "validation_fraction": options.validation_fraction,
        "test_fraction": options.test_fraction,
    }


def _fingerprint(path: Path) -> dict:
    with open(path, "rb") as file:
        return {"name": path.name, "bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def summary(result: Mapping) -> str:
    """A table of the counts."""
    held_out = {name: result["splits"][name] for name in (VALIDATION, TEST)}
    rows = [("cluster", "records", "training")]
    rows += [
        (cluster, str(size), str(result["splits"].get(protanno.split_name(cluster), 0)))
        for cluster, size in result["clusters"].items()
    ]
    rows.append(("all", str(result["records"]), str(result["records"] - sum(held_out.values()))))
    lines = [f"{cluster:<20}{size:>12}{training:>12}" for cluster, size, training in rows]
    lines.append(", ".join(f"{result[key]} {key}" for key in ("entries", "records", "rejected", "deduplicated")))
    lines.append(", ".join(f"{size} in {name}" for name, size in held_out.items()))
    return "\n".join(lines)


@command
def main(arguments: Sequence[str] | None = None) -> None:
    """Builds a dataset and prints its counts."""
    parser = argparse.ArgumentParser(prog="python -m data_pipelines.build", description=__doc__.split("\n")[0])
    parser.add_argument("--input", type=Path, nargs="+", required=True, help="UniProt files (.dat or .txt, plain or .gz)")
    parser.add_argument("--output", type=Path, required=True, help="the dataset's folder, new or empty")
    parser.add_argument("--clusters", type=Path, help="TSV of cluster id and accession; whole clusters are held out")
    share = {"type": float, "metavar": "F"}
    parser.add_argument("--validation_fraction", default=0.05, **share, help="of the clusters (default %(default)s)")
    parser.add_argument("--test_fraction", default=0.05, **share, help="of the clusters (default %(default)s)")
    parser.add_argument("--max_rejected_fraction", default=1.0, **share, help="fail above it (default %(default)s: never)")
    args = vars(parser.parse_args(arguments))
    output = args.pop("output")
    options = Options(inputs=tuple(args.pop("input")), **args)
    with finished_folder(output) as directory:
        result = build_local(options, directory)
    print(summary(result))


if __name__ == "__main__":
    sys.exit(main())
