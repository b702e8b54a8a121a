"""The build steps after grouping: join similar records, choose and compare splits, write files.

Each range of hashes or output file is a task, computed only from a work folder and arguments. So
the dataset depends neither on the number of processes nor on the sizes of ranges.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64, UInt16

from data_pipelines.build import minhash, nearest_training, overlap, similarity_clusters
from data_pipelines.build.work_folder import WorkFolder
from data_pipelines.common.processes import OrderedMap
from data_pipelines.common.progress import progress
from data_pipelines.protanno import dataset as protanno
from data_pipelines.protanno.clusters import RANDOM_TEST, SPLITS, TEST, split_codes
from data_pipelines.protanno.dataset import decode_without_features


def join_similar(folder: WorkFolder, ranges: int, *, ordered_map: OrderedMap) -> None:
    """Replaces each record's unit by the unit of its MinHash cluster."""
    hashes = folder.load_all(ranges, "hashes")
    _collect_sketches(folder, ranges, count=len(hashes))
    links = ordered_map(functools.partial(_band_links, folder), range(minhash.BANDS))
    bar = progress(links, description="cluster", unit="bands", total=minhash.BANDS)
    units = similarity_clusters.units(hashes, similarity_clusters.join(len(hashes), bar))
    start = 0
    for position in range(ranges):
        stop = start + len(folder.load(position, "hashes"))
        folder.save(position, "units", units[start:stop])
        start = stop


def _collect_sketches(folder: WorkFolder, ranges: int, *, count: int) -> None:
    """Collects the sketches of all ranges in one file, and their band keys in another, by band."""
    rows = np.lib.format.open_memmap(
        folder.path / "sketches.npy", "w+", np.uint16, (count, minhash.HASHES)
    )
    bands = np.lib.format.open_memmap(
        folder.path / "keys.npy", "w+", np.uint32, (minhash.BANDS, count)
    )
    start = 0
    for position in range(ranges):
        sketches = folder.load(position, "sketches")
        stop = start + len(sketches)
        rows[start:stop] = sketches
        bands[:, start:stop] = minhash.band_keys(sketches).T
        start = stop


def _band_links(folder: WorkFolder, band: int) -> Int64[np.ndarray, "m 2"]:
    keys = np.load(folder.path / "keys.npy", mmap_mode="r")[band]
    return minhash.bucket_links(
        np.array(keys), np.load(folder.path / "sketches.npy", mmap_mode="r")
    )


def assign_splits(
    folder: WorkFolder, ranges: int, **fractions: float
) -> Int64[np.ndarray, "ranges splits 2"]:
    """Assigns a split to every record, with the fractions of `split_codes`.

    Returns the number of records and bytes of each range and split.
    """
    sizes = np.zeros((ranges, len(SPLITS), 2), np.int64)
    for position in range(ranges):
        codes = split_codes(
            folder.load(position, "units"),
            folder.load(position, "clusters"),
            folder.load(position, "hashes"),
            **fractions,
        )
        folder.save(position, "codes", codes)
        lengths = np.diff(folder.load(position, "ends"))
        np.add.at(sizes[position], codes, np.stack([np.ones_like(lengths), lengths], axis=1))
    return sizes


class Overlap(NamedTuple):
    """Results of the MinHash check of held-out records.

    Attributes:
      statistics: held-out split → number with a relative in training, as in `overlap.result`.
      positions: indices of the checked records among all records.
      related: whether they have a relative among training records with text (row 0) and without
        text (row 1).
    """

    statistics: dict[str, dict]
    positions: Int64[np.ndarray, " q"]
    related: Bool[np.ndarray, "2 q"]


def measure_overlap(folder: WorkFolder, ranges: int, *, ordered_map: OrderedMap) -> Overlap:
    """Checks the held-out records that `overlap.sample` selects."""
    codes = folder.load_all(ranges, "codes")
    counts = np.bincount(codes, minlength=len(SPLITS))
    sampled = overlap.sample(codes)
    positions = np.concatenate(list(sampled.values()))
    np.save(folder.path / "queries.npy", _sketches_at(folder, ranges, positions))
    found = np.zeros((2, len(positions)), bool)
    related = ordered_map(functools.partial(_related_in_range, folder), range(ranges))
    for part in progress(related, description="overlap", unit="ranges", total=ranges):
        found |= part
    edges = np.cumsum([len(members) for members in sampled.values()])[:-1]
    by_split = np.split(found, edges, axis=1)
    statistics = {}
    for name, part in zip(sampled, by_split, strict=True):
        if len(sampled[name]) or name != RANDOM_TEST:
            statistics[name] = overlap.result(part, sequences=int(counts[SPLITS.index(name)]))
    return Overlap(statistics, positions, found)


def _sketches_at(
    folder: WorkFolder, ranges: int, positions: Int64[np.ndarray, " q"]
) -> UInt16[np.ndarray, "q hashes"]:
    result, start = np.zeros((len(positions), minhash.HASHES), np.uint16), 0
    for position in range(ranges):
        sketches = folder.load(position, "sketches")
        inside = (positions >= start) & (positions < start + len(sketches))
        result[inside] = sketches[positions[inside] - start]
        start += len(sketches)
    return result


def _related_in_range(folder: WorkFolder, position: int) -> Bool[np.ndarray, "2 q"]:
    training = folder.load(position, "codes") < SPLITS.index(TEST)
    bare = nearest_training.without_text(folder.load(position, "clusters"))
    sketches, queries = folder.load(position, "sketches"), np.load(folder.path / "queries.npy")
    return np.stack(
        [overlap.have_relatives(queries, sketches[training & kind]) for kind in (~bare, bare)]
    )


def layout(folder: WorkFolder, ranges: int) -> nearest_training.Layout:
    """The layout of the records of all ranges, for a file of identities."""
    arrays = (folder.load_all(ranges, name) for name in ("accessions", "codes", "clusters"))
    return nearest_training.Layout.of(*arrays)


def held_out_accessions(folder: WorkFolder, ranges: int) -> Iterator[str]:
    """Yields the accessions of the held-out records, in dataset order."""
    for position in range(ranges):
        (indices,) = np.nonzero(folder.load(position, "codes") >= SPLITS.index(TEST))
        for data in folder.records(position, indices):
            yield decode_without_features(data).accession


def relatives(folder: WorkFolder, ranges: int, found: Overlap | None) -> Float[np.ndarray, "2 h"]:
    """For each held-out record, 1 or 0 if it was checked (`Overlap.related`), else NaN."""
    codes = folder.load_all(ranges, "codes")
    known = np.full((2, len(codes)), np.nan)
    if found is not None:
        known[:, found.positions] = found.related
    return known[:, codes >= SPLITS.index(TEST)]


class Stretch(NamedTuple):
    """A run of a split's records in the range at `position`: skip `skip`, then take `count`."""

    position: int
    skip: int
    count: int


class ShardTask(NamedTuple):
    """A file to write: its path, its split's index in `SPLITS`, and where to find its records."""

    path: Path
    code: int
    stretches: list[Stretch]


def write_splits(
    folder: WorkFolder,
    directory: Path,
    sizes: Int64[np.ndarray, "ranges splits 2"],
    *,
    ordered_map: OrderedMap,
) -> dict[str, protanno.Shards]:
    """Writes the files of all non-empty splits; `sizes` is as returned by `assign_splits`."""
    plans = {
        name: protanno.plan_shards(*sizes[:, code].sum(axis=0).tolist())
        for code, name in enumerate(SPLITS)
        if sizes[:, code, 0].any()
    }
    tasks = []
    for name, plan in plans.items():
        tasks += _shard_tasks(folder, name, plan, sizes)
    written = ordered_map(functools.partial(_write_shard, folder), tasks)
    for path in progress(written, description="write", unit="files", total=len(tasks)):
        # The file was written elsewhere, because a process that outlives a killed build must not
        # write into the next one.
        path.rename(directory / path.name)
    return plans


def _shard_tasks(
    folder: WorkFolder, name: str, plan: protanno.Shards, sizes: np.ndarray
) -> Iterator[ShardTask]:
    """Plans the files of a split."""
    code = SPLITS.index(name)
    starts = np.concatenate([[0], np.cumsum(sizes[:, code, 0])])
    first = 0
    for shard, length in enumerate(plan.lengths):
        last = first + length
        positions = range(
            np.searchsorted(starts, first, side="right") - 1,
            np.searchsorted(starts, last, side="left"),
        )
        stretches = []
        for position in positions:
            a, b = max(first, starts[position]), min(last, starts[position + 1])
            if b > a:
                stretches.append(Stretch(position, int(a - starts[position]), int(b - a)))
        path = protanno.shard_path(folder.shards, name, shard=shard, shards=len(plan.lengths))
        yield ShardTask(path, code, stretches)
        first = last


def _write_shard(folder: WorkFolder, task: ShardTask) -> Path:
    protanno.write_shard(task.path, _records(folder, task))
    return task.path


def _records(folder: WorkFolder, task: ShardTask) -> Iterator[bytes]:
    for position, skip, count in task.stretches:
        (indices,) = np.nonzero(folder.load(position, "codes") == task.code)
        yield from folder.records(position, indices[skip : skip + count])
