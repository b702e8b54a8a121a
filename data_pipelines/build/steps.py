"""What a build does once its records are grouped: join similar ones, choose splits, compare splits,
write files.

Each range of hashes or file is a task of its own, computed from a work folder and arguments alone,
so that neither the number of processes nor the sizes of ranges show in the dataset.
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
    """Puts in place of each record's unit that of its cluster by MinHash."""
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
    """The sketches of all ranges in one file, and their keys in one where each band lies
    together."""
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
    """Gives every record its split, by the fractions of `split_codes`. Returns records and bytes
    of each range and split."""
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
    """Held-out records that MinHash looked up.

    Attributes:
      statistics: held-out split → how many have a relative in training, as `overlap.result` tells
        it.
      positions: of the records among all.
      related: whether they have a relative among training records with text, and among those
        without.
    """

    statistics: dict[str, dict]
    positions: Int64[np.ndarray, " q"]
    related: Bool[np.ndarray, "2 q"]


def measure_overlap(folder: WorkFolder, ranges: int, *, ordered_map: OrderedMap) -> Overlap:
    """Looks up the held-out records that `overlap.sample` takes."""
    codes = folder.load_all(ranges, "codes")
    counts = np.bincount(codes, minlength=len(SPLITS))
    sampled = overlap.sample(codes)
    positions = np.concatenate(list(sampled.values()))
    np.save(folder.path / "queries.npy", _sketches_at(folder, ranges, positions))
    found = np.zeros((2, len(positions)), bool)
    related = ordered_map(functools.partial(_related_in_range, folder), range(ranges))
    for part in progress(related, description="overlap", unit="ranges", total=ranges):
        found |= part
    by_split = np.split(
        found, np.cumsum([len(members) for members in sampled.values()])[:-1], axis=1
    )
    statistics = {
        name: overlap.result(part, sequences=int(counts[SPLITS.index(name)]))
        for name, part in zip(sampled, by_split, strict=True)
        if len(sampled[name]) or name != RANDOM_TEST
    }
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
    """The records of all ranges, for a file of identities."""
    arrays = (folder.load_all(ranges, name) for name in ("accessions", "codes", "clusters"))
    return nearest_training.Layout.of(*arrays)


def held_out_accessions(folder: WorkFolder, ranges: int) -> Iterator[str]:
    """Of the held-out records, in the dataset's order."""
    for position in range(ranges):
        (indices,) = np.nonzero(folder.load(position, "codes") >= SPLITS.index(TEST))
        for data in folder.records(position, indices):
            yield decode_without_features(data).accession


def relatives(folder: WorkFolder, ranges: int, found: Overlap | None) -> Float[np.ndarray, "2 h"]:
    """Of each held-out record, 1 or 0 where it was looked up (`Overlap.related`), else NaN."""
    codes = folder.load_all(ranges, "codes")
    known = np.full((2, len(codes)), np.nan)
    if found is not None:
        known[:, found.positions] = found.related
    return known[:, codes >= SPLITS.index(TEST)]


class Stretch(NamedTuple):
    """Some of a split's records in the range at `position`: `count` of them after the first
    `skip`."""

    position: int
    skip: int
    count: int


class ShardTask(NamedTuple):
    """A file to write: its path, its split's place in `SPLITS`, and where its records are."""

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
    """Writes the files of every split that holds records into `directory`, from what
    `assign_splits` returned."""
    plans = {
        name: protanno.plan_shards(*sizes[:, code].sum(axis=0).tolist())
        for code, name in enumerate(SPLITS)
        if sizes[:, code, 0].any()
    }
    tasks = [
        task for name, plan in plans.items() for task in _shard_tasks(folder, name, plan, sizes)
    ]
    written = ordered_map(functools.partial(_write_shard, folder), tasks)
    for path in progress(written, description="write", unit="files", total=len(tasks)):
        # Written elsewhere: a process that outlives a killed build must not write into the next
        # one.
        path.rename(directory / path.name)
    return plans


def _shard_tasks(
    folder: WorkFolder, name: str, plan: protanno.Shards, sizes: np.ndarray
) -> Iterator[ShardTask]:
    """The files of a split."""
    code = SPLITS.index(name)
    starts = np.concatenate([[0], np.cumsum(sizes[:, code, 0])])
    first = 0
    for shard, length in enumerate(plan.lengths):
        last = first + length
        positions = range(
            np.searchsorted(starts, first, side="right") - 1,
            np.searchsorted(starts, last, side="left"),
        )
        edges = [
            (position, max(first, starts[position]), min(last, starts[position + 1]))
            for position in positions
        ]
        stretches = [
            Stretch(position, int(a - starts[position]), int(b - a))
            for position, a, b in edges
            if b > a
        ]
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
