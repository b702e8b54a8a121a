import numpy as np
import pytest

from data_pipelines.build.cluster_files import NO_CLUSTERS, ClusterUnits
from data_pipelines.build.group import Grouping, Merge, deduplicate, spilled
from data_pipelines.common.hashing import hash64
from data_pipelines.protanno.clusters import CLUSTERS, cluster_unit, sequence_unit
from data_pipelines.protanno.dataset import decode_record
from tests.support.records import record


def kept_records(records):
    return [decode_record(kept.data) for kept in deduplicate(map(spilled, records))[0]]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"existence": 2}, {"existence": 3, "function": "Cuts.", "location": "Here."}),
        ({"existence": 5}, {"existence": 0}),
        ({"source": "trembl", "location": "Here."}, {"source": "swissprot"}),
        ({"source": "swissprot", "accession": "Q2"}, {"source": "trembl", "accession": "Q1"}),
        ({"accession": "A0A1"}, {"accession": "P1"}),
    ],
)
def test_of_identical_sequences_the_better_is_kept_as_it_is(better, worse):
    better, worse, other = (
        record(0, **({"existence": 1} | better)),
        record(0, **({"existence": 1} | worse)),
        record(1),
    )
    both = sorted([better, other], key=lambda one: hash64(one.sequence))
    assert kept_records([better, worse, other]) == both
    assert kept_records([worse, other, better]) == both


def test_what_is_merged_depends_on_the_set_alone():
    versions = [record(0, name=name) for name in "ba"]
    twins = [
        record(0, accession=name, source=source, existence=5)
        for name, source in (("X2", "trembl"), ("X1", "swissprot"))
    ]
    everything = [record(1), *versions, *twins]
    kept, merges = deduplicate(map(spilled, everything))
    assert (kept, merges) == deduplicate(map(spilled, reversed(everything)))
    assert len(kept) == 2
    assert merges == [
        Merge("P00000", "swissprot", "P00000", "swissprot"),
        Merge("X1", "swissprot", "P00000", "swissprot"),
        Merge("X2", "trembl", "P00000", "swissprot"),
    ]


def test_sequences_that_share_a_hash_stay_apart_and_in_order():
    first, second = sorted((record(1), record(2)), key=lambda one: one.sequence)
    shared = [spilled(one)._replace(hash=7) for one in (second, first)]
    assert [decode_record(kept.data) for kept in deduplicate(shared)[0]] == [first, second]


def test_a_group_is_what_its_records_are():
    records = [
        record(index, existence=index % 6, source=("swissprot", "trembl")[index % 2])
        for index in range(40)
    ]
    table = sorted(
        (hash64(one.accession), cluster_unit(f"c{index // 2}"))
        for index, one in enumerate(records[:20])
    )
    units = ClusterUnits(*np.array(table, np.uint64).T)
    grouping = Grouping(
        cluster_units=units,
        excluded={hash64(records[3].sequence): ("a.fasta", "b.fasta")},
        sketch=True,
    )
    group = grouping.group(map(spilled, records))
    assert group.excluded == [("P00003", ("a.fasta", "b.fasta"))]
    left = sorted(records[:3] + records[4:], key=lambda one: hash64(one.sequence))
    assert [decode_record(data) for data in group.records] == left
    assert group.hashes.tolist() == [hash64(one.sequence) for one in left]
    names = [f"{one.source}/C{one.existence}/R{1 + bool(one.function)}" for one in left]
    assert [CLUSTERS[code] for code in group.clusters] == names
    clusters = {one.accession: f"c{index // 2}" for index, one in enumerate(records[:20])}
    assert group.units.tolist() == [
        cluster_unit(clusters[one.accession])
        if one.accession in clusters
        else sequence_unit(one.sequence)
        for one in left
    ]
    assert group.residues.tolist() == [60] * 39
    # PROTEIN NAME: Protein 5, and FUNCTION: Cuts.
    assert group.words.tolist() == [6 if one.function else 4 for one in left]
    assert group.sketches.shape == (39, 128)


def test_a_group_may_be_empty():
    group = Grouping(cluster_units=NO_CLUSTERS, excluded={}, sketch=False).group([])
    assert group.records == []
    assert group.sketches.shape == (0, 0)
    assert group.units.dtype == np.uint64
