import os

import numpy as np
import pytest

from data_pipelines.build.spill import HashRange, Spill, Spilled, partition_bits_for


def spilled(count):
    rng = np.random.default_rng(0)
    hashes = [*rng.integers(0, 2**64, count - 2, np.uint64).tolist(), 0, 2**64 - 1]
    return [
        Spilled(hash_, bytes([index % 256]) * (index % 50)) for index, hash_ in enumerate(hashes)
    ]


@pytest.mark.parametrize("partition_bits", [0, 1, 5])
@pytest.mark.parametrize("max_bytes", [300, 10**9])
def test_ranges_hold_everything_once_and_in_order(tmp_path, partition_bits, max_bytes):
    records, spill = spilled(500), Spill(tmp_path, partition_bits)
    spill.append(records[:200])
    spill.append(records[200:])
    ranges = spill.ranges(max_bytes=max_bytes)
    assert len(ranges) == 1 << partition_bits if max_bytes > 300 else len(ranges) > 40
    assert (ranges[0].start, ranges[-1].stop) == (0, 2**64)
    assert all(one.stop == two.start for one, two in zip(ranges[:-1], ranges[1:], strict=True))
    parts = [list(spill.read(one)) for one in ranges]
    assert sorted(record for part in parts for record in part) == sorted(records)
    for hash_range, part in zip(ranges, parts, strict=True):
        assert all(hash_range.start <= record.hash < hash_range.stop for record in part)
        assert all(spill.partition(record.hash) == hash_range.partition for record in part)
        assert max_bytes > 300 or sum(len(record.data) for record in part) < 5 * max_bytes


def test_processes_append_to_files_of_their_own(tmp_path, monkeypatch):
    records, spill = spilled(20), Spill(tmp_path, 0)
    for process in (1, 2):
        monkeypatch.setattr(os, "getpid", lambda process=process: process)
        spill.append(records[process::2])
    assert len(list(tmp_path.rglob("0"))) == 2
    assert sorted(spill.read(HashRange(0, 0, 2**64))) == sorted(records[1:])


def test_nothing_is_written_into_a_folder_that_was_removed(tmp_path):
    with pytest.raises(FileNotFoundError):
        Spill(tmp_path / "gone", 0).append(spilled(3))


def test_partitions_follow_the_size():
    assert [
        partition_bits_for(size, partition_bytes=100) for size in (0, 100, 101, 250, 1600, 10**9)
    ] == [0, 0, 1, 2, 4, 10]
