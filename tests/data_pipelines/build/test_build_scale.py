"""Memory and speed of builds of many entries."""

import pytest

from benchmarks import build

MEMORY_MIB = 1536


@pytest.mark.soak
@pytest.mark.parametrize("cluster", ["none", "minhash"])
def test_a_million_entries_take_bounded_memory_and_two_workers_share_the_work(tmp_path, cluster):
    result = build.run(
        tmp_path, entries=1_000_000, workers=[1, 2], arguments=["--cluster", cluster]
    )
    assert result["statistics"]["entries"] == 1_000_000
    one, two = result["runs"]
    assert one["digest"] == two["digest"]
    assert max(one["peak_mib"] + two["peak_mib"]) <= MEMORY_MIB
    # CPU seconds, as the cores may be busy with other things: no process does much more than half
    # of the work, and what passing it on costs is little.
    (alone,) = one["cpu_seconds"]
    assert max(two["cpu_seconds"]) < 0.6 * alone
    assert sum(two["cpu_seconds"]) < 1.3 * alone
