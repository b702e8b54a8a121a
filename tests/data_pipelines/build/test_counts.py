import dataclasses

import numpy as np

from data_pipelines.build import counts
from data_pipelines.build.cluster_files import NO_CLUSTERS
from data_pipelines.build.counts import Grouped, InputCounts, kind_of_reason
from data_pipelines.build.group import Grouping, spilled
from data_pipelines.common.hashing import hash64
from data_pipelines.readers import Reject
from tests.support.records import record


def test_reasons_are_counted_by_kind(monkeypatch):
    monkeypatch.setattr(counts, "_MAX_REASONS", 3)
    reading = InputCounts(records=5)
    reasons = [f"its sequence has {n} residues" for n in range(3)] + ["it has none"] * 2
    reasons += [
        "its name is 'a'",
        'its name is "b c"',
        "its name is b'\\x00'",
        "another",
        "one more",
    ]
    for line, reason in enumerate(reasons):
        reading.reject(Reject("P1", "ab"[line % 2], line, reason))
    assert reading.statistics()["top_rejects"] == {
        "its name is …": 3,
        "its sequence has … residues": 3,
        "it has none": 2,
        "other": 2,
    }
    assert (reading.entries, reading.rejected) == (15, 10)
    assert reading.statistics()["rejected_by_file"] == {"a": 5, "b": 5}
    assert kind_of_reason("line 7 is b'//' and 'x'") == "line … is … and …"


def test_the_most_frequent_come_first(monkeypatch):
    monkeypatch.setattr(counts, "TOP_REASONS", 2)
    reading = InputCounts()
    for reason in ("c", "b", "b", "a", "a", "d"):
        reading.reject(Reject("P1", "f", 1, reason))
    assert list(reading.statistics()["top_rejects"]) == ["a", "b"]


def test_counts_of_ranges_add_up():
    records = [record(index, sequence="MKV" * (index + 1)) for index in range(60)]
    records += [
        record(index, sequence="MKV" * (index + 1), accession="Q", source="trembl")
        for index in range(10)
    ]
    excluded = {hash64("MKV" * 60): ("a", "b")}
    grouping = Grouping(cluster_units=NO_CLUSTERS, excluded=excluded, sketch=False)
    whole = Grouped.count(grouping.group(map(spilled, records)))
    even = [one for one in records if len(one.sequence) % 2 == 0]
    odd = [one for one in records if len(one.sequence) % 2]
    first, second = (Grouped.count(grouping.group(map(spilled, part))) for part in (even, odd))
    for field in dataclasses.fields(Grouped):
        assert np.all(getattr(first + second, field.name) == getattr(whole, field.name))
    found = whole.statistics()
    assert (found["records"], found["deduplicated"], found["excluded"]) == (59, 10, 1)
    assert found["excluded_by_file"] == {"a": 1, "b": 1}
    assert found["lengths"]["total"] == sum(3 * (index + 1) for index in range(59))
    # Lengths 3, 6, … 48 are below 50.
    assert found["lengths"]["counts"][:4] == [16, 17, 16, 10]
    assert len(found["lengths"]["edges"]) == len(found["lengths"]["counts"]) + 1
    assert sum(found["biotext_words"]["counts"]) == 59


def test_cluster_sizes():
    assert counts.cluster_sizes(np.repeat(np.arange(6), [1, 1, 1, 2, 3, 9])) == {
        "clusters": 6,
        "largest": 9,
        "sizes": {"edges": [1, 2, 4, 8, 16], "counts": [3, 2, 0, 1]},
    }
    assert counts.cluster_sizes(np.zeros(1))["sizes"] == {"edges": [1, 2], "counts": [1]}
    assert counts.cluster_sizes(np.arange(4) // 4)["sizes"] == {
        "edges": [1, 2, 4, 8],
        "counts": [0, 0, 1],
    }
